//! Messages as a server writes them.

/// One column of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wire {
    Null,
    Unchanged,
    Text(Vec<u8>),
    Binary(Vec<u8>),
}

pub(super) fn text(text: &str) -> Wire {
    Wire::Text(text.as_bytes().to_vec())
}

/// What follows the old row of an update or a delete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Old {
    Key,
    Whole,
}

pub(super) fn begin(commit: u64, at_us: i64, xid: u32) -> Vec<u8> {
    let mut out = vec![b'B'];
    out.extend(commit.to_be_bytes());
    out.extend(at_us.to_be_bytes());
    out.extend(xid.to_be_bytes());
    out
}

pub(super) fn commit(commit: u64, end: u64) -> Vec<u8> {
    let mut out = vec![b'C', 0];
    out.extend(commit.to_be_bytes());
    out.extend(end.to_be_bytes());
    out.extend(0_u64.to_be_bytes());
    out
}

/// A column of a relation: identity, name, type.
pub(super) type Described<'a> = (bool, &'a str, u32);

pub(super) fn relation(oid: u32, name: &str, columns: &[Described<'_>]) -> Vec<u8> {
    let mut out = vec![b'R'];
    out.extend(oid.to_be_bytes());
    out.extend(b"public\0");
    out.extend(name.as_bytes());
    out.extend([0, b'd']);
    out.extend(u16::try_from(columns.len()).unwrap().to_be_bytes());
    for (identity, name, oid) in columns {
        out.push(u8::from(*identity));
        out.extend(name.as_bytes());
        out.push(0);
        out.extend(oid.to_be_bytes());
        out.extend(u32::MAX.to_be_bytes());
    }
    out
}

pub(super) fn described_type(oid: u32, schema: &str, name: &str) -> Vec<u8> {
    let mut out = vec![b'Y'];
    out.extend(oid.to_be_bytes());
    out.extend(schema.as_bytes());
    out.push(0);
    out.extend(name.as_bytes());
    out.push(0);
    out
}

fn tuple(kind: u8, row: &[Wire], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(u16::try_from(row.len()).unwrap().to_be_bytes());
    for column in row {
        let (kind, bytes) = match column {
            Wire::Null => (b'n', None),
            Wire::Unchanged => (b'u', None),
            Wire::Text(bytes) => (b't', Some(bytes)),
            Wire::Binary(bytes) => (b'b', Some(bytes)),
        };
        out.push(kind);
        if let Some(bytes) = bytes {
            out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            out.extend(bytes);
        }
    }
}

pub(super) fn insert(oid: u32, row: &[Wire]) -> Vec<u8> {
    let mut out = vec![b'I'];
    out.extend(oid.to_be_bytes());
    tuple(b'N', row, &mut out);
    out
}

pub(super) fn update(oid: u32, old: Option<(Old, &[Wire])>, row: &[Wire]) -> Vec<u8> {
    let mut out = vec![b'U'];
    out.extend(oid.to_be_bytes());
    if let Some((old, row)) = old {
        tuple(old.letter(), row, &mut out);
    }
    tuple(b'N', row, &mut out);
    out
}

pub(super) fn delete(oid: u32, old: Old, row: &[Wire]) -> Vec<u8> {
    let mut out = vec![b'D'];
    out.extend(oid.to_be_bytes());
    tuple(old.letter(), row, &mut out);
    out
}

pub(super) fn truncate(oids: &[u32], options: u8) -> Vec<u8> {
    let mut out = vec![b'T'];
    out.extend(u32::try_from(oids.len()).unwrap().to_be_bytes());
    out.push(options);
    oids.iter().for_each(|oid| out.extend(oid.to_be_bytes()));
    out
}

/// `pg_logical_emit_message`
pub(super) fn logical_message(transactional: bool) -> Vec<u8> {
    let mut out = vec![b'M', u8::from(transactional)];
    out.extend(7_u64.to_be_bytes());
    out.extend(b"heartbeat\0\0\0\0\x02hi");
    out
}

pub(super) fn origin() -> Vec<u8> {
    let mut out = vec![b'O'];
    out.extend(7_u64.to_be_bytes());
    out.extend(b"elsewhere\0");
    out
}

impl Old {
    fn letter(self) -> u8 {
        match self {
            Old::Key => b'K',
            Old::Whole => b'O',
        }
    }
}

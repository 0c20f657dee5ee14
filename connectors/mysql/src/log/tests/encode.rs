//! Writes events as servers do, so that they can be read back.

use super::super::Kind;

pub(super) const IGNORABLE: u16 = 0x80;
pub(super) const ARTIFICIAL: u16 = 0x20;

/// An integer in the shortest form that says its own length.
pub(super) fn packed(number: u64) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    match number {
        0..=250 => vec![bytes[0]],
        251..=0xffff => [&[0xfc], &bytes[..2]].concat(),
        0x1_0000..=0xff_ffff => [&[0xfd], &bytes[..3]].concat(),
        _ => [&[0xfe], &bytes[..]].concat(),
    }
}

pub(super) fn packed_bytes(bytes: &[u8]) -> Vec<u8> {
    [packed(bytes.len() as u64), bytes.to_vec()].concat()
}

/// An event without a checksum.
pub(super) fn event(kind: Kind, flags: u16, body: &[u8]) -> Vec<u8> {
    at(kind, flags, 0, body)
}

fn at(kind: Kind, flags: u16, next_position: u32, body: &[u8]) -> Vec<u8> {
    let size = (body.len() + 19) as u32;
    let mut event = 1_700_000_000_u32.to_le_bytes().to_vec();
    event.push(kind.0);
    event.extend(7_u32.to_le_bytes());
    event.extend(size.to_le_bytes());
    event.extend(next_position.to_le_bytes());
    event.extend(flags.to_le_bytes());
    event.extend(body);
    event
}

/// The event with room for a checksum, and the checksum in it.
pub(super) fn checked(mut event: Vec<u8>) -> Vec<u8> {
    let size = (event.len() + 4) as u32;
    event[9..13].copy_from_slice(&size.to_le_bytes());
    let sum = crc32fast::hash(&event);
    event.extend(sum.to_le_bytes());
    event
}

/// The body of a FORMAT_DESCRIPTION up to its checksum.
pub(super) fn format_body(version: &str, types: usize, algorithm: Option<u8>) -> Vec<u8> {
    let mut lengths = vec![0_u8; types];
    let known = [(2, 13), (4, 8), (19, 8), (23, 8), (24, 8), (25, 8), (30, 10), (31, 10), (32, 10)];
    for (kind, len) in known {
        if let Some(place) = lengths.get_mut(kind - 1) {
            *place = len;
        }
    }
    let mut body = 4_u16.to_le_bytes().to_vec();
    let mut name = version.as_bytes().to_vec();
    name.resize(50, 0);
    body.extend(name);
    body.extend(1_700_000_000_u32.to_le_bytes());
    body.push(19);
    body.extend(lengths);
    body.extend(algorithm);
    body
}

/// The FORMAT_DESCRIPTION of a server with checksums.
pub(super) fn format(version: &str, types: usize) -> Vec<u8> {
    let body = format_body(version, types, Some(1));
    checked(event(Kind::FORMAT_DESCRIPTION, 0, &body))
}

pub(super) fn mysql() -> Vec<u8> {
    format("8.4.2", 42)
}

pub(super) fn mariadb() -> Vec<u8> {
    format("10.11.6-MariaDB-log", 171)
}

/// A file of these events, with checksums, positions, and a ROTATE at its end.
pub(super) fn file(format: &[u8], events: &[(Kind, u16, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\xfebin".to_vec();
    file.extend(format);
    let rotate = (Kind::ROTATE, 0, [&4_u64.to_le_bytes()[..], b"mysql-bin.000002"].concat());
    for (kind, flags, body) in events.iter().chain([&rotate]) {
        let next = file.len() + body.len() + 19 + 4;
        file.extend(checked(at(*kind, *flags, next as u32, body)));
    }
    file
}

pub(super) fn query(status: &[u8], schema: &str, text: &[u8]) -> Vec<u8> {
    let mut body = 11_u32.to_le_bytes().to_vec();
    body.extend(0_u32.to_le_bytes());
    body.push(schema.len() as u8);
    body.extend(0_u16.to_le_bytes());
    body.extend((status.len() as u16).to_le_bytes());
    body.extend(status);
    body.extend(schema.as_bytes());
    body.push(0);
    body.extend(text);
    body
}

/// What MariaDB makes of `bytes`, with the size stated as `stated`.
pub(super) fn deflated(bytes: &[u8], stated: usize) -> Vec<u8> {
    use std::io::Write;
    let level = flate2::Compression::default();
    let mut encoder = flate2::write::ZlibEncoder::new(vec![0x83], level);
    let [_, high, middle, low] = (stated as u32).to_be_bytes();
    encoder.get_mut().extend([high, middle, low]);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The body of a TRANSACTION_PAYLOAD around `bytes`.
pub(super) fn payload(compression: u64, stated: usize, bytes: &[u8]) -> Vec<u8> {
    let field = |number: u64, value: u64| [packed(number), packed_bytes(&packed(value))].concat();
    let mut body = field(2, compression);
    body.extend(field(3, stated as u64));
    body.extend(field(1, bytes.len() as u64));
    body.push(0);
    body.extend(bytes);
    body
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// A TABLE_MAP of types with their metadata, all nullable.
pub(super) fn table_map(id: u64, types: &[(u8, &[u8])], optional: &[u8]) -> Vec<u8> {
    let mut body = id.to_le_bytes()[..6].to_vec();
    body.extend(1_u16.to_le_bytes());
    body.extend(b"\x04shop\0\x05stock\0");
    let kinds: Vec<u8> = types.iter().map(|(kind, _)| *kind).collect();
    body.extend(packed_bytes(&kinds));
    let metadata: Vec<u8> =
        types.iter().flat_map(|(_, metadata)| metadata.iter().copied()).collect();
    body.extend(packed_bytes(&metadata));
    body.extend(vec![0xff; types.len().div_ceil(8)]);
    body.extend(optional);
    body
}

/// The body of a rows event up to its images: `maps` are the maps of columns present.
pub(super) fn rows_head(id: u64, extra: Option<&[u8]>, columns: usize, maps: usize) -> Vec<u8> {
    let mut body = id.to_le_bytes()[..6].to_vec();
    body.extend(1_u16.to_le_bytes());
    if let Some(extra) = extra {
        body.extend((extra.len() as u16 + 2).to_le_bytes());
        body.extend(extra);
    }
    body.extend(packed(columns as u64));
    for nth in 0..maps {
        body.extend(vec![0xff - nth as u8; columns.div_ceil(8)]);
    }
    body
}

/// One part of what a TABLE_MAP adds.
pub(super) fn part(kind: u8, value: &[u8]) -> Vec<u8> {
    [vec![kind], packed_bytes(value)].concat()
}

/// The integer of MySQL's serialised messages, in its shortest form.
pub(super) fn varint(value: u64) -> Vec<u8> {
    let bits = 64 - value.leading_zeros() as usize;
    let more = bits.saturating_sub(1) / 7;
    if more >= 8 {
        return [&[0xff], &value.to_le_bytes()[..]].concat();
    }
    let ones = (1_u64 << more) - 1;
    (value << (more + 1) | ones).to_le_bytes()[..=more].to_vec()
}

pub(super) fn signed_varint(value: i64) -> Vec<u8> {
    let sign = u64::from(value < 0);
    let magnitude = if value < 0 { !value } else { value } as u64;
    varint(magnitude << 1 | sign)
}

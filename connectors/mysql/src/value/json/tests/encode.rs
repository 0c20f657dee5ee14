//! The other way: documents to binary JSON, and to their text.

use super::kind;

/// A document.
#[derive(Debug, Clone)]
pub(super) enum Doc {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Array(Vec<Doc>),
    Object(Vec<(String, Doc)>),
}

impl Doc {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, value) = self.parts();
        let mut raw = vec![kind];
        raw.extend(value);
        raw
    }

    fn parts(&self) -> (u8, Vec<u8>) {
        match self {
            Doc::Null => (kind::LITERAL, vec![0]),
            Doc::Bool(value) => (kind::LITERAL, vec![if *value { 1 } else { 2 }]),
            Doc::Int(value) => match (i16::try_from(*value), i32::try_from(*value)) {
                (Ok(value), _) => (kind::INT16, value.to_le_bytes().to_vec()),
                (_, Ok(value)) => (kind::INT32, value.to_le_bytes().to_vec()),
                _ => (kind::INT64, value.to_le_bytes().to_vec()),
            },
            Doc::UInt(value) => match (u16::try_from(*value), u32::try_from(*value)) {
                (Ok(value), _) => (kind::UINT16, value.to_le_bytes().to_vec()),
                (_, Ok(value)) => (kind::UINT32, value.to_le_bytes().to_vec()),
                _ => (kind::UINT64, value.to_le_bytes().to_vec()),
            },
            Doc::Double(value) => (kind::DOUBLE, value.to_le_bytes().to_vec()),
            Doc::Text(text) => (kind::STRING, counted(text.as_bytes())),
            Doc::Array(members) => {
                let members: Vec<_> = members.iter().map(|member| (None, member)).collect();
                sized(kind::SMALL_ARRAY, &members)
            }
            Doc::Object(members) => {
                let members: Vec<_> =
                    members.iter().map(|(key, member)| (Some(key.as_str()), member)).collect();
                sized(kind::SMALL_OBJECT, &members)
            }
        }
    }

    pub(super) fn text(&self) -> String {
        let joined = |members: Vec<String>| members.join(", ");
        match self {
            Doc::Null => "null".into(),
            Doc::Bool(value) => value.to_string(),
            Doc::Int(value) => value.to_string(),
            Doc::UInt(value) => value.to_string(),
            Doc::Double(value) => format!("{value:?}"),
            Doc::Text(text) => quoted(text),
            Doc::Array(members) => format!("[{}]", joined(members.iter().map(Doc::text).collect())),
            Doc::Object(members) => {
                let member =
                    |(key, doc): &(String, Doc)| format!("{}: {}", quoted(key), doc.text());
                format!("{{{}}}", joined(members.iter().map(member).collect()))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let char = |char: char| match char {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        '\u{8}' => "\\b".into(),
        '\u{c}' => "\\f".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        control if control < ' ' => format!("\\u{:04x}", control as u32),
        other => other.to_string(),
    };
    format!("\"{}\"", text.chars().map(char).collect::<String>())
}

fn counted(raw: &[u8]) -> Vec<u8> {
    let (mut len, mut bytes) = (raw.len(), Vec::new());
    while len >= 0x80 {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend_from_slice(raw);
    bytes
}

/// Small if it fits, else large.
fn sized(small: u8, members: &[(Option<&str>, &Doc)]) -> (u8, Vec<u8>) {
    let bytes = container(members, 2);
    if bytes.len() < 1 << 16 {
        return (small, bytes);
    }
    (small + 1, container(members, 4))
}

fn container(members: &[(Option<&str>, &Doc)], width: usize) -> Vec<u8> {
    let put = |value: usize| value.to_le_bytes()[..width].to_vec();
    let keys: Vec<&str> = members.iter().filter_map(|(key, _)| *key).collect();
    let key_bytes: usize = keys.iter().map(|key| key.len()).sum();
    let head = 2 * width + keys.len() * (width + 2) + members.len() * (width + 1);
    let (mut key_entries, mut entries, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut key_at = head;
    for key in &keys {
        key_entries.extend(put(key_at));
        key_entries.extend((key.len() as u16).to_le_bytes());
        key_at += key.len();
    }
    for (_, member) in members {
        let (kind, value) = member.parts();
        entries.push(kind);
        let four = matches!(kind, kind::INT32 | kind::UINT32) && width == 4;
        if matches!(kind, kind::LITERAL | kind::INT16 | kind::UINT16) || four {
            let mut inlined = value;
            inlined.resize(width, 0);
            entries.extend(inlined);
        } else {
            entries.extend(put(head + key_bytes + values.len()));
            values.extend(value);
        }
    }
    let mut bytes = put(members.len());
    bytes.extend(put(head + key_bytes + values.len()));
    bytes.extend(key_entries);
    bytes.extend(entries);
    keys.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
    bytes.extend(values);
    bytes
}

use std::borrow::Cow;

/// The columns of a row in the text format of COPY, without their escapes; `None` is NULL.
pub(super) fn columns(row: &[u8]) -> impl Iterator<Item = Option<Cow<'_, [u8]>>> {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.split(|byte| *byte == b'\t').map(column)
}

fn column(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = text.iter().position(|byte| *byte == b'\\') else {
        return Some(Cow::Borrowed(text));
    };
    if text == b"\\N" {
        return None;
    }
    let (plain, mut rest) = text.split_at(first);
    let mut value = Vec::with_capacity(text.len());
    value.extend_from_slice(plain);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let byte = match (byte, tail.split_first()) {
            (b'\\', Some((&escaped, tail))) => {
                rest = tail;
                unescaped(escaped)
            }
            _ => byte,
        };
        value.push(byte);
    }
    Some(Cow::Owned(value))
}

fn unescaped(letter: u8) -> u8 {
    match letter {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the server writes a value (`CopyAttributeOutText`).
    fn written(value: Option<&[u8]>) -> Vec<u8> {
        let Some(value) = value else { return b"\\N".to_vec() };
        let escaped = |byte: u8| match byte {
            0x08 => b"\\b".to_vec(),
            0x0c => b"\\f".to_vec(),
            b'\n' => b"\\n".to_vec(),
            b'\r' => b"\\r".to_vec(),
            b'\t' => b"\\t".to_vec(),
            0x0b => b"\\v".to_vec(),
            b'\\' => b"\\\\".to_vec(),
            other => vec![other],
        };
        value.iter().copied().flat_map(escaped).collect()
    }

    #[test]
    fn a_row_comes_apart_at_its_tabs() {
        let row: Vec<_> = columns(b"1\t\\N\t\ta\\tb\\\\N\n").collect();
        let wanted = [Some(&b"1"[..]), None, Some(b""), Some(b"a\tb\\N")];
        assert_eq!(row, wanted.map(|value| value.map(Cow::Borrowed)));
    }

    proptest! {
        #[test]
        fn what_a_server_writes_is_read_back(
            row in prop::collection::vec(
                prop::option::of(prop::collection::vec(
                    prop_oneof![any::<u8>(), prop::sample::select(&b"\\Nntbfrv\t\n\r"[..])], 0..20,
                )),
                1..6,
            ),
        ) {
            let fields: Vec<Vec<u8>> = row.iter().map(|value| written(value.as_deref())).collect();
            let mut line = fields.join(&b'\t');
            line.push(b'\n');
            let read: Vec<_> = columns(&line).map(|value| value.map(Cow::into_owned)).collect();
            prop_assert_eq!(read, row);
        }

        #[test]
        fn any_bytes_are_some_columns(row in any::<Vec<u8>>()) {
            prop_assert!(columns(&row).count() > 0);
        }
    }
}

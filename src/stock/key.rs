//! Record keys.

use std::borrow::Cow;

/// The parts of a record key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Tenant.
    pub seller: &'a str,
    /// Database of the tenant.
    pub source: &'a str,
    /// Item id.
    pub item: &'a str,
    /// Location id.
    pub location: &'a str,
    /// Lot, package, owner.
    pub bucket: Option<&'a str>,
}

/// Appends `seller/source/item/location[/bucket]` with every part percent-encoded (RFC 3986:
/// unreserved characters stay), so that different parts never yield one key.
pub fn write(parts: &Parts<'_>, out: &mut String) {
    write_source(parts.seller, parts.source, out);
    for part in [parts.item, parts.location] {
        out.push('/');
        encode(part, out);
    }
    if let Some(bucket) = parts.bucket {
        out.push('/');
        encode(bucket, out);
    }
}

/// Appends `seller/source`, percent-encoded: how every record key of a source begins, and the whole
/// key of what is said about the source rather than about an item.
pub fn write_source(seller: &str, source: &str, out: &mut String) {
    encode(seller, out);
    out.push('/');
    encode(source, out);
}

/// Appends one part, percent-encoded.
pub fn encode(part: &str, out: &mut String) {
    // Nearly every part is plain.
    if part.bytes().all(is_plain) {
        return out.push_str(part);
    }
    for byte in part.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Reads one part back; `None` when it was not written here.
pub fn decode(part: &str) -> Option<Cow<'_, str>> {
    if !part.contains('%') {
        return Some(Cow::Borrowed(part));
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (hex, behind) = tail.split_at_checked(2)?;
            let hex = std::str::from_utf8(hex).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn key(parts: &Parts<'_>) -> String {
        let mut out = String::new();
        write(parts, &mut out);
        out
    }

    #[test]
    fn empty_parts_and_slashes_in_parts_yield_keys_of_their_own() {
        let texts = ["", "/", "a", "a/", "/a", "%2F", "_"];
        let buckets = texts.map(Some).into_iter().chain([None]);
        let mut keys = HashSet::new();
        for bucket in buckets {
            for (item, location) in texts.iter().flat_map(|a| texts.map(|b| (*a, b))) {
                let parts = Parts { seller: "s", source: "m", item, location, bucket };
                assert!(keys.insert(key(&parts)), "{parts:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_part_and_no_panic(text in ".*") {
            let _ = decode(&text);
        }

        #[test]
        fn the_parts_of_a_key_can_be_read_back(
            parts in prop::collection::vec(".*", 4), bucket in prop::option::of(".*"),
        ) {
            let key = key(&Parts {
                seller: &parts[0],
                source: &parts[1],
                item: &parts[2],
                location: &parts[3],
                bucket: bucket.as_deref(),
            });
            let back = key.split('/').map(|part| decode(part).unwrap());
            let parts: Vec<&str> = parts.iter().chain(&bucket).map(String::as_str).collect();
            prop_assert_eq!(back.collect::<Vec<_>>(), parts);
        }
    }
}

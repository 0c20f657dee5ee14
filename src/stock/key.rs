//! Record keys, partitions and shards.

use std::num::NonZeroU32;

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
pub fn write(parts: &Parts<'_>, out: &mut Vec<u8>) {
    for part in [parts.seller, parts.source, parts.item] {
        encode(part, out);
        out.push(b'/');
    }
    encode(parts.location, out);
    if let Some(bucket) = parts.bucket {
        out.push(b'/');
        encode(bucket, out);
    }
}

fn encode(part: &str, out: &mut Vec<u8>) {
    for &byte in part.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// The partition of an item's events, so that all its locations stay in order: Kafka's murmur2 of
/// `seller 00 item`.
pub fn partition(seller: &str, item: &str, partitions: NonZeroU32) -> u32 {
    let bytes = seller.bytes().chain([0]).chain(item.bytes());
    positive(murmur2(seller.len() + 1 + item.len(), bytes)) % partitions
}

/// The shard that works for a seller: Kafka's murmur2 of its name.
pub fn shard(seller: &str, shards: NonZeroU32) -> u32 {
    positive(murmur2(seller.len(), seller.bytes())) % shards
}

/// Kafka drops the sign bit rather than the sign.
fn positive(hash: u32) -> u32 {
    hash & 0x7fff_ffff
}

/// The hash of Kafka's own partitioner, so that other producers and joins can place keys alike.
fn murmur2(len: usize, mut bytes: impl Iterator<Item = u8>) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // Kafka counts in 32 bits.
    let mut hash = 0x9747_b28c ^ len as u32;
    let (blocks, left) = (len / 4, len % 4);
    for _ in 0..blocks {
        let mut block = [0; 4];
        block.iter_mut().zip(&mut bytes).for_each(|(to, from)| *to = from);
        let mut k = u32::from_le_bytes(block).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if left > 0 {
        let rest = bytes.zip(0..).fold(0, |rest, (byte, at)| rest | u32::from(byte) << (8 * at));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn key(parts: &Parts<'_>) -> String {
        let mut out = Vec::new();
        write(parts, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn decode(part: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = part.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == b'%' {
                let hex = std::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(byte);
                rest = tail;
            }
        }
        String::from_utf8(bytes).unwrap()
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

    #[test]
    fn the_hash_is_the_one_of_kafkas_own_partitioner() {
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in vectors {
            assert_eq!(murmur2(text.len(), text.bytes()).cast_signed(), hash, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_item_is_placed_by_seller_zero_item(seller in ".*", item in ".*", of in 1u32..99) {
            let of = NonZeroU32::new(of).unwrap();
            let joined = format!("{seller}\0{item}");
            let hash = murmur2(joined.len(), joined.bytes());
            prop_assert_eq!(partition(&seller, &item, of), (hash & 0x7fff_ffff) % of);
            prop_assert!(shard(&seller, of) < of.get());
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
            let back: Vec<String> = key.split('/').map(decode).collect();
            prop_assert_eq!(&back[..4], &parts[..]);
            prop_assert_eq!(back.get(4), bucket.as_ref());
        }
    }
}

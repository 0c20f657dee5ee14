//! Which partition a record goes to. The same for everybody who computes it: murmur2 as the
//! clients of Kafka's own project do, so that a consumer finds the partition of an item.

/// The partition of all records of an item, of `partitions`.
pub(super) fn of_item(seller: &str, item: &str, partitions: i32) -> i32 {
    let mut hash = Murmur2::new(seller.len() + 1 + item.len());
    hash.update(seller.as_bytes());
    hash.update(&[0]);
    hash.update(item.as_bytes());
    of_hash(hash.finish(), partitions)
}

/// The partition of what concerns a seller as a whole, of `partitions`.
pub(super) fn of_seller(seller: &str, partitions: i32) -> i32 {
    let mut hash = Murmur2::new(seller.len());
    hash.update(seller.as_bytes());
    of_hash(hash.finish(), partitions)
}

fn of_hash(hash: u32, partitions: i32) -> i32 {
    (hash & 0x7fff_ffff).cast_signed() % partitions
}

const M: u32 = 0x5bd1_e995;

/// Austin Appleby's 32-bit MurmurHash2 with the seed Kafka uses, over bytes that come in pieces.
struct Murmur2 {
    hash: u32,
    /// Bytes that do not fill a word yet.
    rest: u32,
    held: u32,
}

impl Murmur2 {
    /// `len` is the number of bytes that will come in all.
    fn new(len: usize) -> Self {
        let len = u32::try_from(len).expect("keys are shorter than 4 GiB");
        Self { hash: 0x9747_b28c ^ len, rest: 0, held: 0 }
    }

    fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.rest |= u32::from(byte) << (8 * self.held);
            self.held += 1;
            if self.held == 4 {
                let mut word = self.rest.wrapping_mul(M);
                word ^= word >> 24;
                self.hash = self.hash.wrapping_mul(M) ^ word.wrapping_mul(M);
                (self.rest, self.held) = (0, 0);
            }
        }
    }

    fn finish(self) -> u32 {
        let mut hash = self.hash;
        if self.held > 0 {
            hash = (hash ^ self.rest).wrapping_mul(M);
        }
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(M);
        hash ^ hash >> 15
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn murmur2(pieces: &[&[u8]]) -> i32 {
        let mut hash = Murmur2::new(pieces.iter().map(|piece| piece.len()).sum());
        pieces.iter().for_each(|piece| hash.update(piece));
        hash.finish().cast_signed()
    }

    #[test]
    fn hashes_are_those_of_kafkas_own_clients() {
        // The figures of the Java client's own test of its hash.
        let known: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(&[text.as_bytes()]), hash, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_hash_as_the_whole(text: Vec<u8>, at: prop::sample::Index) {
            let (one, other) = text.split_at(at.index(text.len() + 1));
            prop_assert_eq!(murmur2(&[one, other]), murmur2(&[&text]));
        }

        #[test]
        fn every_item_has_a_partition(seller: String, item: String, partitions in 1..5000i32) {
            let partition = of_item(&seller, &item, partitions);
            prop_assert!((0..partitions).contains(&partition));
        }
    }
}

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

/// Text of a piece, bytes, unless one entry is longer.
const PIECE_BYTES: usize = 256 << 10;
/// No entry is moved because of less text that is not needed any more, bytes: each of a thousand
/// sellers may have so much.
const DEAD_BYTES: usize = 64 << 10;

/// The last value of each key, in the order in which they were written. Beyond 64 KiB at most half
/// of the text is not needed any more.
///
/// The rows of all sellers of a shard are here before the first of them takes its own: their texts
/// stand one behind the other in pieces of memory, each of which goes when it has been handed out.
#[derive(Debug, Default)]
pub(super) struct Latest {
    pieces: VecDeque<Piece>,
    places: HashTable<Place>,
    bytes: usize,
    dead_bytes: usize,
    /// Entries of the first piece that have been handed out.
    taken: usize,
}

#[derive(Debug, Default)]
struct Piece {
    text: String,
    entries: Vec<Span>,
}

/// A key with its value behind it.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    value: u32,
    end: u32,
    /// Nothing has been said of the key since.
    is_last: bool,
}

/// Where an entry is, with what its key hashes to: to read the key again costs a look far away.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    piece: u32,
    entry: u32,
}

impl Latest {
    /// The value of a key is this one now, or none.
    pub(super) fn set(&mut self, key: &str, value: Option<&str>) {
        let hash = hash(key);
        let place = value.map(|value| self.append(hash, key, value));
        let Self { pieces, places, .. } = self;
        let is_it = |known: &Place| known.hash == hash && known.key(pieces) == key;
        let before = match (places.entry(spread(hash), is_it, |known| spread(known.hash)), place) {
            (Entry::Vacant(_), None) => None,
            (Entry::Vacant(vacant), Some(place)) => {
                vacant.insert(place);
                None
            }
            (Entry::Occupied(mut known), Some(place)) => {
                Some(std::mem::replace(known.get_mut(), place))
            }
            (Entry::Occupied(known), None) => Some(known.remove().0),
        };
        if let Some(Place { piece, entry, .. }) = before {
            let span = &mut self.pieces[piece as usize].entries[entry as usize];
            span.is_last = false;
            self.dead_bytes += (span.end - span.start) as usize;
        }
        if self.dead_bytes > DEAD_BYTES.max(self.bytes / 2) {
            let mut all = std::mem::take(self);
            while all.take(|key, value| self.set(key, Some(value))).is_some() {}
        }
    }

    /// Hands out one entry and forgets it. Nothing can be set any more.
    pub(super) fn take<T>(&mut self, out: impl FnOnce(&str, &str) -> T) -> Option<T> {
        self.places = HashTable::new();
        loop {
            let piece = self.pieces.front()?;
            let Some(span) = piece.entries.get(self.taken) else {
                self.pieces.pop_front();
                self.taken = 0;
                continue;
            };
            self.taken += 1;
            if span.is_last {
                return Some(out(piece.key(span), piece.value(span)));
            }
        }
    }

    fn append(&mut self, hash: u32, key: &str, value: &str) -> Place {
        let bytes = key.len() + value.len();
        self.bytes += bytes;
        let has_room = |piece: &Piece| piece.text.len() + bytes <= PIECE_BYTES;
        if !self.pieces.back().is_some_and(has_room) {
            self.pieces.push_back(Piece::behind(self.pieces.back(), bytes));
        }
        let number = self.pieces.len() - 1;
        let piece = &mut self.pieces[number];
        let short = |place: usize| u32::try_from(place).expect("a record is smaller than 2 GiB");
        let start = short(piece.text.len());
        piece.text.push_str(key);
        let value_at = short(piece.text.len());
        piece.text.push_str(value);
        let end = short(piece.text.len());
        piece.entries.push(Span { start, value: value_at, end, is_last: true });
        Place { hash, piece: short(number), entry: short(piece.entries.len() - 1) }
    }
}

impl Piece {
    /// The first piece grows, because a small seller needs no more. Those behind it are full.
    fn behind(before: Option<&Self>, bytes: usize) -> Self {
        let Some(before) = before else { return Self::default() };
        let text = String::with_capacity(PIECE_BYTES.max(bytes));
        Self { text, entries: Vec::with_capacity(before.entries.len()) }
    }

    fn key(&self, span: &Span) -> &str {
        &self.text[span.start as usize..span.value as usize]
    }

    fn value(&self, span: &Span) -> &str {
        &self.text[span.value as usize..span.end as usize]
    }
}

impl Place {
    fn key(self, pieces: &VecDeque<Piece>) -> &str {
        let piece = &pieces[self.piece as usize];
        piece.key(&piece.entries[self.entry as usize])
    }
}

#[allow(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
fn hash(key: &str) -> u32 {
    xxh3_64(key.as_bytes()) as u32
}

/// As the table wants it, which looks at both ends.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn all(mut latest: Latest) -> Vec<(String, String)> {
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        std::iter::from_fn(|| latest.take(entry)).collect()
    }

    proptest! {
        #[test]
        fn of_each_key_the_last_value_is_handed_out_once(
            said in prop::collection::vec(
                (0_u8..20, prop::option::of("[a-zé]{0,3}"), 0_usize..3),
                0..200,
            ),
        ) {
            let (mut latest, mut model) = (Latest::default(), BTreeMap::new());
            for (key, value, size) in said {
                // Long ones make pieces, and enough that is not needed any more.
                let value = value.map(|value| value.repeat([1, 1_000, 100_000][size]));
                let key = format!("stock/{key}");
                latest.set(&key, value.as_deref());
                match value {
                    Some(value) => drop(model.insert(key, value)),
                    None => drop(model.remove(&key)),
                }
                prop_assert!(latest.dead_bytes <= DEAD_BYTES.max(latest.bytes / 2));
            }
            let mut left = all(latest);
            left.sort_unstable();
            prop_assert_eq!(left, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_key_that_changes_all_the_time_takes_no_more_memory_than_others() {
        let mut latest = Latest::default();
        let value = "v".repeat(1_000);
        for number in 0..100_000 {
            latest.set(&format!("stock/{}", number % 10), Some(&value));
        }
        let texts = latest.pieces.iter().map(|piece| piece.text.capacity());
        assert!(texts.sum::<usize>() < 3 * PIECE_BYTES);
        assert_eq!(all(latest).len(), 10);
    }
}

use std::collections::VecDeque;

use connector_api::Position;

/// What one source has in flight between its socket and its sink.
///
/// Batches are numbered in the order they were read, because positions have no order of their
/// own. The ledger asserts, on every call, that
/// `confirmed <= checkpointed (= published-durable) <= read`.
#[derive(Debug, Default)]
pub struct Ledger {
    read: u64,
    committed: u64,
    confirmed: u64,
    in_flight: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    end: Position,
    committed_at_us: Option<i64>,
}

impl Ledger {
    /// Takes note of a batch on its way to the sink and gives it its number. `committed_at_us` is
    /// the source's commit time of its oldest change.
    pub fn read(&mut self, end: Position, committed_at_us: Option<i64>) -> u64 {
        self.read += 1;
        self.in_flight.push_back(Entry { number: self.read, end, committed_at_us });
        self.check();
        self.read
    }

    /// The sink has made every batch up to `number` durable; returns the position that may be
    /// confirmed upstream now, if it moved.
    pub fn committed(&mut self, number: u64) -> Option<Position> {
        assert!(number <= self.read, "batch {number} is durable but was never read");
        let mut end = None;
        while self.in_flight.front().is_some_and(|entry| entry.number <= number) {
            end = self.in_flight.pop_front().map(|entry| entry.end);
        }
        self.committed = self.committed.max(number);
        self.confirmed = self.committed;
        self.check();
        end
    }

    /// The number of the last batch that was read.
    pub fn last(&self) -> u64 {
        self.read
    }

    /// Whether batch `number`, and every one before it, is durable.
    pub fn is_durable(&self, number: u64) -> bool {
        number <= self.committed
    }

    /// Batches between socket and sink.
    pub fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether everything read is durable.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The source's commit time of the oldest change that is not durable yet.
    pub fn oldest_committed_at_us(&self) -> Option<i64> {
        self.in_flight.iter().find_map(|entry| entry.committed_at_us)
    }

    fn check(&self) {
        assert!(self.confirmed <= self.committed, "confirmed what is not checkpointed");
        assert!(self.committed <= self.read, "checkpointed what was not read");
        let span = self.read - self.committed;
        assert!(self.in_flight.len() as u64 == span, "a batch left the ledger unseen");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_may_be_confirmed_is_the_end_of_the_last_durable_batch(
            steps in prop::collection::vec((any::<bool>(), 0u64..4), 1..200),
        ) {
            let mut ledger = Ledger::default();
            let (mut read, mut durable) = (0, 0);
            for (reads, ahead) in steps {
                if reads {
                    read += 1;
                    let end = Position::new(read.to_string());
                    prop_assert_eq!(ledger.read(end, Some(read as i64)), read);
                } else {
                    let number = (durable + ahead).min(read);
                    let expected = (number > durable).then(|| Position::new(number.to_string()));
                    prop_assert_eq!(ledger.committed(number), expected);
                    durable = durable.max(number);
                }
                prop_assert_eq!(ledger.len() as u64, read - durable);
                let oldest = (read > durable).then_some(durable as i64 + 1);
                prop_assert_eq!(ledger.oldest_committed_at_us(), oldest);
            }
        }
    }

    #[test]
    #[should_panic(expected = "never read")]
    fn a_batch_that_was_never_read_cannot_be_durable() {
        Ledger::default().committed(1);
    }
}

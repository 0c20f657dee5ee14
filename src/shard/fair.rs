use std::collections::VecDeque;

/// Queues by owner, emptied in turn so that one owner's flood delays the others by no more than
/// one batch each.
#[derive(Debug)]
pub(super) struct Fair<K, T> {
    queues: VecDeque<(K, VecDeque<T>)>,
}

impl<K, T> Default for Fair<K, T> {
    fn default() -> Self {
        Self { queues: VecDeque::new() }
    }
}

impl<K: PartialEq, T> Fair<K, T> {
    pub(super) fn push(&mut self, owner: K, item: T) {
        match self.queues.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, queue)) => queue.push_back(item),
            None => self.queues.push_back((owner, VecDeque::from([item]))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Takes items one owner after the other until `limit_bytes` is reached, at least one. Each
    /// owner's items come in the order they were pushed.
    pub(super) fn take(&mut self, limit_bytes: usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
        let mut taken = Vec::new();
        let mut size = 0;
        while size < limit_bytes {
            let Some((owner, mut queue)) = self.queues.pop_front() else { break };
            let item = queue.pop_front().expect("an empty queue is dropped");
            size += bytes(&item);
            taken.push(item);
            if !queue.is_empty() {
                self.queues.push_back((owner, queue));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_flood_of_one_owner_does_not_hold_up_another() {
        let mut fair = Fair::default();
        (0..100).for_each(|number| fair.push("flood", ("flood", number)));
        fair.push("quiet", ("quiet", 0));
        assert_eq!(fair.take(2, |_| 1), [("flood", 0), ("quiet", 0)]);
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_and_in_its_owners_order(
            items in prop::collection::vec((0u8..4, 1usize..9), 0..60), limit in 1usize..40,
        ) {
            let mut fair = Fair::default();
            for (number, (owner, size)) in items.iter().enumerate() {
                fair.push(*owner, (*owner, number, *size));
            }
            let mut out = Vec::new();
            while !fair.is_empty() {
                out.extend(fair.take(limit, |item| item.2));
            }
            prop_assert_eq!(out.len(), items.len());
            for owner in 0..4 {
                let of_owner: Vec<usize> =
                    out.iter().filter(|item| item.0 == owner).map(|item| item.1).collect();
                prop_assert!(of_owner.is_sorted());
            }
        }
    }
}

/// Numbers of transactions as half-open ranges: rising, none empty, none touching the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    pub(super) fn as_slice(&self) -> &[(u64, u64)] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `start..end`, which is not empty.
    pub(super) fn insert(&mut self, start: u64, end: u64) {
        // A server numbers upwards, so that nearly every range continues the last one.
        if self.0.last().is_none_or(|last| last.1 <= start) {
            return self.append(start, end);
        }
        let first = self.0.partition_point(|range| range.1 < start);
        let behind = self.0.partition_point(|range| range.0 <= end);
        let touched = &self.0[first..behind];
        let start = touched.first().map_or(start, |range| range.0.min(start));
        let end = touched.last().map_or(end, |range| range.1.max(end));
        self.0.splice(first..behind, [(start, end)]);
    }

    /// Adds a range that begins at or behind the beginning of the last one.
    fn append(&mut self, start: u64, end: u64) {
        match self.0.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => self.0.push((start, end)),
        }
    }

    /// Adds ranges in any order, none of them empty.
    pub(super) fn extend(&mut self, ranges: &[(u64, u64)]) {
        let mut all = std::mem::take(&mut self.0);
        all.extend_from_slice(ranges);
        all.sort_unstable();
        for (start, end) in all {
            self.append(start, end);
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.holds(number, number.saturating_add(1))
    }

    /// Whether all of `start..end` is here.
    fn holds(&self, start: u64, end: u64) -> bool {
        let behind = self.0.partition_point(|range| range.0 <= start);
        behind > 0 && self.0[behind - 1].1 >= end
    }

    /// The range that a number is in.
    pub(super) fn range_of(&self, number: u64) -> Option<(u64, u64)> {
        // Nearly always the last one.
        let behind = match self.0.last() {
            Some(last) if last.0 <= number => self.0.len(),
            _ => self.0.partition_point(|range| range.0 <= number),
        };
        let range = self.0[..behind].last()?;
        (number < range.1).then_some(*range)
    }

    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|(start, end)| other.holds(*start, *end))
    }

    /// What is here and not in `other`.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut cuts = other.0.as_slice();
        for (start, end) in &self.0 {
            let mut from = *start;
            cuts = &cuts[cuts.partition_point(|cut| cut.1 <= from)..];
            for cut in cuts.iter().take_while(|cut| cut.0 < *end) {
                if from < cut.0 {
                    rest.push((from, cut.0));
                }
                from = cut.1;
            }
            if from < *end {
                rest.push((from, *end));
            }
        }
        Self(rest)
    }
}

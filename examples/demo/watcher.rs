use std::collections::BTreeMap;

use crate::feed::{Feed, News};
use crate::shop::{Key, Levels};

/// A key as it was published last.
pub(crate) struct Published {
    /// `None` when it was removed: kept, so that nothing older brings it back.
    pub(crate) on_hand: Option<String>,
    pub(crate) version: String,
    /// From the commit in the shop to the moment it could be read here. `None` where the shop's log
    /// says only in which second it was: MariaDB's does.
    pub(crate) latency_ms: Option<f64>,
}

/// Reads what is published, as any consumer could.
pub(crate) struct Watcher {
    feed: Box<dyn Feed>,
    known: BTreeMap<Key, Published>,
    events: usize,
    latencies_ms: Vec<f64>,
}

impl Watcher {
    pub(crate) fn new(feed: Box<dyn Feed>) -> Self {
        Self { feed, known: BTreeMap::new(), events: 0, latencies_ms: Vec::new() }
    }

    /// Takes in what has been published since the last look: of each key the greatest version.
    pub(crate) fn look(&mut self) {
        for News { key, on_hand, version, committed_at } in self.feed.news() {
            let latency = jiff::Timestamp::now().as_microsecond() - committed_at.as_microsecond();
            #[allow(clippy::cast_precision_loss, reason = "a few milliseconds")]
            let latency_ms =
                (committed_at.subsec_nanosecond() != 0).then_some(latency as f64 / 1e3);
            self.events += 1;
            self.latencies_ms.extend(latency_ms);
            if self.known.get(&key).is_none_or(|known| known.version < version) {
                self.known.insert(key, Published { on_hand, version, latency_ms });
            }
        }
    }

    /// The keys that have not been removed.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.known.iter().filter(|(_, known)| known.on_hand.is_some()).map(|(key, _)| key)
    }

    /// What is published of a key, unless it was removed.
    pub(crate) fn level(&self, key: &Key) -> Option<(&str, &Published)> {
        let known = self.known.get(key)?;
        known.on_hand.as_deref().map(|on_hand| (on_hand, known))
    }

    /// Keys that the shops and the published levels do not agree on, with their sellers.
    pub(crate) fn differences(&self, shop: &Levels) -> Vec<(String, String)> {
        let mut keys: Vec<_> = shop.keys().chain(self.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let differs = |key: &Key| {
            let said = shop.get(key).map(String::as_str);
            let published = self.level(key).map(|(on_hand, _)| on_hand);
            let (seller, item, location) = key;
            let (shop, here) = (said.unwrap_or("nothing"), published.unwrap_or("nothing"));
            let differs =
                || format!("{item} at {location}: the shop says {shop}, published is {here}");
            (said != published).then(|| (seller.clone(), differs()))
        };
        keys.into_iter().filter_map(differs).collect()
    }

    pub(crate) fn summary(&self) -> String {
        let mut sorted = self.latencies_ms.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
        let (p50, p99) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
        let (events, timed) = (self.events, self.latencies_ms.len());
        format!(
            "{events} events; commit to published p50 {p50:.1} ms, p99 {p99:.1} ms, for the \
             {timed} whose log tells time finer than in seconds"
        )
    }
}

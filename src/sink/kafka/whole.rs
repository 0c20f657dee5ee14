//! Whether the topics still have what was written to them. One that was deleted and made again, by
//! whomever, looks like any other.

use std::collections::BTreeMap;

use connector_api::{Error, Result};
use rdkafka::consumer::BaseConsumer;
use serde::{Deserialize, Serialize};

use super::client::Told;
use super::topics::{Topic, Topics};
use super::{KafkaOptions, scan};

/// What is recorded of the topics, beside the checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Whole {
    /// Stands in the topic of cached rows, too.
    mark: String,
    /// How far the topic of levels had been written, over all partitions; without it none are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    levels: Option<i64>,
    /// Topics that were found to lack something, and in which round each was found last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    anew: BTreeMap<String, u32>,
}

/// What there is to be compared with what is recorded.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is recorded.
    pub(super) whole: Option<Whole>,
    /// Partition counts, which earlier versions recorded alone.
    pub(super) partitions: Option<BTreeMap<String, i32>>,
    /// What stands in the topic of cached rows.
    pub(super) mark: Option<String>,
}

/// How far topics have been written: that stays however much is cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    events: i64,
    /// Without it none are kept.
    levels: Option<i64>,
}

impl Ends {
    pub(super) fn ask(
        options: &KafkaOptions,
        topics: &Topics,
        asking: &BaseConsumer<Told>,
    ) -> Result<Self> {
        let end = |topic: Topic| {
            (0..topics.partitions(topic)).try_fold(0_i64, |sum, partition| {
                let (_, end) = scan::ends_of(options, asking, (topic, partition))?;
                Ok::<_, Error>(sum.saturating_add(end))
            })
        };
        let levels = options.config.levels.then(|| end(Topic::Levels)).transpose()?;
        Ok(Self { events: end(Topic::Events)?, levels })
    }
}

impl Whole {
    /// What is to be recorded from here on; `mark` where none stands yet.
    pub(super) fn of(found: Found, ends: Ends, topics: &Topics, mark: String) -> Self {
        let name = |topic| topics.name(topic).to_owned();
        let (mut anew, lacking) = match (found.whole, &found.partitions) {
            (Some(before), _) => {
                let levels = match (before.levels, ends.levels) {
                    (None, Some(_)) => true,
                    (Some(before), Some(now)) => now < before,
                    (_, None) => false,
                };
                let rows = found.mark.as_ref() != Some(&before.mark);
                let lacking = [(rows, Topic::Rows), (levels, Topic::Levels)];
                let lacking = lacking.into_iter().filter(|(lacks, _)| *lacks);
                (before.anew, lacking.map(|(_, topic)| name(topic)).collect())
            }
            // Of an earlier version.
            (None, Some(counts)) => {
                let levels = name(Topic::Levels);
                let lacks = ends.levels.is_some() && !counts.contains_key(&levels);
                (BTreeMap::new(), Vec::from_iter(lacks.then_some(levels)))
            }
            // Nothing is remembered: because nothing was ever written, or because that has gone.
            (None, None) => {
                let is_lost = ends.events > 0 || ends.levels.is_some_and(|end| end > 0);
                (BTreeMap::new(), Vec::from_iter(is_lost.then(|| name(Topic::Checkpoints))))
            }
        };
        let round = anew.values().max().copied().unwrap_or(0) + 1;
        anew.extend(lacking.into_iter().map(|topic| (topic, round)));
        Self { mark: found.mark.unwrap_or(mark), levels: ends.levels, anew }
    }

    pub(super) fn decode(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).expect("it has only text keys")
    }

    /// Stands in the topic of cached rows for as long as that is the one it was.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// In which round something was found to be lacking last. It stands beside every checkpoint.
    pub(super) fn round(&self) -> u32 {
        self.anew.values().max().copied().unwrap_or(0)
    }

    /// The topics that lack something a checkpoint of this round goes by, by name.
    pub(super) fn lacking_since(&self, round: u32) -> Vec<String> {
        let since = self.anew.iter().filter(|(_, found)| **found > round);
        since.map(|(topic, _)| topic.clone()).collect()
    }

    /// Whether checkpoints have been lost: a source without one may be known to consumers.
    pub(super) fn has_lost_checkpoints(&self, topics: &Topics) -> bool {
        self.anew.contains_key(topics.name(Topic::Checkpoints))
    }

    /// The same once the first level has been written, unless that is recorded.
    pub(super) fn with_levels(&self) -> Option<Self> {
        (self.levels == Some(0)).then(|| Self { levels: Some(1), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Ends = Ends { events: 0, levels: Some(0) };
    const WRITTEN: Ends = Ends { events: 9, levels: Some(9) };

    fn look(found: Found, ends: Ends) -> Whole {
        Whole::of(found, ends, &Topics::for_test(), "new".to_owned())
    }

    /// At a start behind another one, with this mark in the topic of rows.
    fn again(before: &Whole, mark: Option<&str>, ends: Ends) -> Whole {
        let mark = mark.map(str::to_owned);
        look(Found { whole: Some(before.clone()), mark, ..Found::default() }, ends)
    }

    #[test]
    fn topics_that_are_what_they_were_lack_nothing() {
        let first = look(Found::default(), EMPTY);
        assert_eq!((first.round(), first.mark()), (0, "new"));
        let written = first.with_levels().expect("none was written before");
        assert_eq!(written.with_levels(), None);
        let second = again(&written, Some("new"), WRITTEN);
        assert_eq!((second.round(), second.mark()), (0, "new"));
        assert!(!second.has_lost_checkpoints(&Topics::for_test()));
        assert_eq!(Whole::decode(&second.encode()).ok(), Some(second));
    }

    #[test]
    fn a_topic_of_rows_that_is_another_one_is_known_by_its_mark() {
        let first = look(Found::default(), EMPTY);
        let second = again(&first, None, WRITTEN);
        assert_eq!(second.lacking_since(0), ["tailstock.rows"]);
        assert_eq!(second.lacking_since(second.round()), [""; 0], "each checkpoint is told once");
        let third = again(&second, Some(second.mark()), WRITTEN);
        assert_eq!(third.round(), second.round());
    }

    #[test]
    fn a_topic_of_levels_that_has_less_than_it_had_is_another_one() {
        let first = look(Found::default(), EMPTY).with_levels().expect("it is the first");
        let second = again(&first, Some("new"), EMPTY);
        assert_eq!(second.lacking_since(0), ["stock.levels.v1"]);
        // Rows go later: a checkpoint between the two is told of one of them.
        let third = again(&second, None, WRITTEN);
        assert_eq!(third.lacking_since(second.round()), ["tailstock.rows"]);
        assert_eq!(third.lacking_since(0), ["stock.levels.v1", "tailstock.rows"]);
    }

    #[test]
    fn levels_that_were_not_kept_for_a_while_lack_what_did_not_change_since() {
        let without = Ends { levels: None, ..WRITTEN };
        let first = look(Found::default(), Ends { levels: None, ..EMPTY });
        assert_eq!(again(&first, Some("new"), without).round(), 0);
        assert_eq!(again(&first, Some("new"), WRITTEN).lacking_since(0), ["stock.levels.v1"]);
        let with = look(Found::default(), WRITTEN);
        assert_eq!(again(&with, Some("new"), without).round(), with.round());
    }

    #[test]
    fn checkpoints_that_are_not_there_have_been_lost_where_something_was_published() {
        let lost = |found, ends| look(found, ends).has_lost_checkpoints(&Topics::for_test());
        assert!(!lost(Found::default(), EMPTY));
        assert!(lost(Found::default(), WRITTEN));
        assert!(lost(Found::default(), Ends { events: 1, levels: None }));
        let counts = || Found { partitions: Some(Topics::for_test().counts()), ..Found::default() };
        assert!(!lost(counts(), WRITTEN));
        assert_eq!(look(counts(), WRITTEN).round(), 0, "an earlier version recorded nothing else");
    }
}

//! Reading partitions from their beginning to their end, as far as it is committed.

use std::time::{Duration, Instant};

use connector_api::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Told, ask};
use super::fault::{Doing, of_error};
use super::topics::Topic;
use super::{Isolation, KafkaOptions, asker, reader};

/// How long reading may go on without a record. Somebody's open transaction holds up its readers
/// until it ends, or until the cluster ends it.
const STALLED: Duration = Duration::from_secs(70);

/// A partition that has not been read to its end.
struct Unread {
    topic: Topic,
    name: String,
    partition: i32,
    end: i64,
}

/// The first record there is of a partition, and where the next one will stand whatever is
/// committed.
pub(super) fn ends_of(
    options: &KafkaOptions,
    asking: &BaseConsumer<Told>,
    (topic, partition): (Topic, i32),
) -> Result<(i64, i64)> {
    let doing = Doing { what: "reading what is stored", options };
    let name = options.topic(topic);
    ask(asking, doing, |wait| asking.fetch_watermarks(&name, partition, wait))
}

/// Hands every record of these partitions that is committed to `take`, those of one partition in
/// their order. The end is asked for without regard to transactions: a commit that has succeeded
/// may still be on its way to readers.
pub(super) fn scan(
    options: &KafkaOptions,
    partitions: &[(Topic, i32)],
    take: impl FnMut(Topic, &BorrowedMessage<'_>) -> Result<()>,
) -> Result<()> {
    scan_as(options, partitions, Isolation::Committed, take)
}

/// The same, with or without what may yet be taken back.
pub(super) fn scan_as(
    options: &KafkaOptions,
    partitions: &[(Topic, i32)],
    isolation: Isolation,
    mut take: impl FnMut(Topic, &BorrowedMessage<'_>) -> Result<()>,
) -> Result<()> {
    let doing = Doing { what: "reading what is stored", options };
    let (consumer, mut unread) = begin(options, partitions, isolation)?;
    let mut progress = Instant::now();
    let mut last = 0;
    while !unread.is_empty() {
        match consumer.poll(Duration::from_millis(5)) {
            Some(Ok(message)) => {
                progress = Instant::now();
                let is_of = |one: &Unread| {
                    one.partition == message.partition() && one.name == message.topic()
                };
                // Nearly always that of the record before.
                if !unread.get(last).is_some_and(is_of) {
                    last = unread.iter().position(is_of).unwrap_or(unread.len());
                }
                if let Some(one) = unread.get(last) {
                    take(one.topic, &message)?;
                }
                continue;
            }
            Some(Err(error)) if progress.elapsed() > STALLED => {
                return Err(of_error(doing, &error));
            }
            Some(Err(_)) | None => {}
        }
        if progress.elapsed() > STALLED {
            let what = "what is stored could not be read to its end: a transaction is open, or \
                        brokers are away";
            return Err(Error::transient(what));
        }
        // Markers and aborted records are not delivered: the place of the reader, not the last
        // record, tells the end.
        let at = consumer.position().map_err(|error| of_error(doing, &error))?;
        unread.retain(|one| {
            let reached = at.find_partition(&one.name, one.partition).map(|found| found.offset());
            !matches!(reached, Some(Offset::Offset(offset)) if offset >= one.end)
        });
    }
    consumer.unassign().map_err(|error| of_error(doing, &error))
}

/// A reader at the beginning of those partitions that hold something.
fn begin(
    options: &KafkaOptions,
    partitions: &[(Topic, i32)],
    isolation: Isolation,
) -> Result<(BaseConsumer<Told>, Vec<Unread>)> {
    let doing = Doing { what: "reading what is stored", options };
    let asking = asker(options)?;
    let consumer = reader(options, isolation)?;
    let mut unread = Vec::new();
    let mut list = TopicPartitionList::new();
    for &(topic, partition) in partitions {
        let name = options.topic(topic);
        let (low, high) = ends_of(options, &asking, (topic, partition))?;
        if high > low {
            if list.elements_for_topic(&name).is_empty() {
                // A reader that has not heard of a topic it is to read asks for it after a second.
                ask(&consumer, doing, |wait| consumer.fetch_metadata(Some(&name), wait))?;
            }
            list.add_partition_offset(&name, partition, Offset::Offset(low))
                .map_err(|error| of_error(doing, &error))?;
            unread.push(Unread { topic, name, partition, end: high });
        }
    }
    consumer.assign(&list).map_err(|error| of_error(doing, &error))?;
    Ok((consumer, unread))
}

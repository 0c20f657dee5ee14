use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::message::Message as _;
use rusqlite::{Connection, OpenFlags};

use crate::place::{Place, Sink, Task, Workspace};
use crate::process::peak_rss_mib;

/// How a process begins: milliseconds from its start to an event that waited for it, each time anew
/// behind the checkpoint of the time before, which was ended as by a crash; and the most memory it
/// has had until nothing happens any more, MiB.
pub(crate) struct Begun {
    pub(crate) first_event_ms: Vec<f64>,
    pub(crate) peak_rss_mib: f64,
}

pub(crate) fn measure(place: &Place, sink: Sink, task: Task<'_>, times: u32) -> Begun {
    let shop = &place.shop;
    let workspace = Workspace::new(place, sink, task);
    let made = workspace.tailstock(&["run", "--until-current"]).status().unwrap();
    assert!(made.success());
    let mut begun = Begun { first_event_ms: Vec::new(), peak_rss_mib: 0.0 };
    let mut events = Events::of(place, &workspace, sink);
    let there = events.seen();
    for time in 1..=times {
        shop.change_one(task.table());
        let started = Instant::now();
        let mut run = workspace.tailstock(&["run"]).spawn().unwrap();
        events.wait_for(there + time);
        begun.first_event_ms.push(started.elapsed().as_secs_f64() * 1e3);
        if time == times {
            pause(Duration::from_secs(3));
            begun.peak_rss_mib = peak_rss_mib(run.id()).unwrap();
        }
        // As a crash would end it, so that the next one has the whole way to go.
        run.kill().unwrap();
        run.wait().unwrap();
    }
    shop.await_no_reader();
    shop.forget_reader();
    begun
}

/// The events that a consumer has seen.
enum Events {
    Sqlite(Connection),
    /// By what they say: whoever publishes at least once may say the last one again.
    Kafka {
        consumer: Box<rdkafka::consumer::BaseConsumer>,
        seen: HashSet<Vec<u8>>,
    },
}

impl Events {
    fn of(place: &Place, workspace: &Workspace, sink: Sink) -> Self {
        if sink.is_kafka() {
            let topic = workspace.topic("stock.events.v1");
            let consumer = Box::new(place.broker.consumer(&topic, Offset::End));
            return Events::Kafka { consumer, seen: HashSet::new() };
        }
        let path = workspace.store();
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        reader.busy_timeout(Duration::from_secs(1)).unwrap();
        Events::Sqlite(reader)
    }

    fn wait_for(&mut self, wanted: u32) {
        let started = Instant::now();
        while self.seen() < wanted {
            assert!(started.elapsed() < Duration::from_secs(60), "no event came");
        }
    }

    fn seen(&mut self) -> u32 {
        match self {
            Events::Sqlite(reader) => {
                pause(Duration::from_millis(1));
                let sql = "SELECT coalesce(max(seq), 0) FROM events";
                reader.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap()
            }
            Events::Kafka { consumer, seen } => {
                if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                    seen.extend(message.unwrap().payload().map(<[u8]>::to_vec));
                }
                u32::try_from(seen.len()).unwrap()
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

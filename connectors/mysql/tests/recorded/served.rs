//! The same logs as a stream: what a server sends is what stands in its file, and a stream that is
//! damaged on its way ends in an error or the same.

use std::io::Write as _;

use connector_mysql::session::DumpFrom;
use testbed::all_mysql_versions;

use super::damage::{Dice, is_full_size};
use super::server;
use super::workload::Way;
use crate::support::dump::Dump;
use crate::support::fake::{Fake, packet};

const MAGIC: usize = 4;
/// Where the size of an event stands in it.
const SIZE_AT: usize = 9;

/// The packets of a dump of this file, and what ends it where the log does.
fn stream(file: &[u8]) -> Vec<u8> {
    let mut rest = &file[MAGIC..];
    let (mut stream, mut number) = (Vec::new(), 1_u8);
    let mut send = |payload: &[u8]| {
        stream.extend(packet(number, payload));
        number = number.wrapping_add(1);
    };
    while let Some(size) = rest.get(SIZE_AT..SIZE_AT + 4) {
        let size = u32::from_le_bytes(size.try_into().unwrap()) as usize;
        let (event, behind) = rest.split_at(size);
        send(&[&[0], event].concat());
        rest = behind;
    }
    send(&[0xfe, 0, 0, 2, 0]);
    stream
}

/// The events that arrive, one behind the other.
async fn served(stream: Vec<u8>) -> Result<Vec<u8>, connector_api::Error> {
    let fake = Fake::new();
    let config = fake.config("ssl-mode=disabled");
    let server = fake.dump(move |mut client| {
        // Whoever has heard enough goes.
        for piece in stream.chunks(1 + stream.len() / 7) {
            if client.0.write_all(piece).is_err() {
                return;
            }
        }
    });
    let from = DumpFrom { file: "log.1".to_owned(), offset: 4, ends_with_the_log: true };
    let reading = async {
        let mut dump = Dump::open(&config, &from).await?;
        let mut bytes = Vec::new();
        while let Some(event) = dump.event().await? {
            bytes.extend(event);
        }
        Ok(bytes)
    };
    let arrived = reading.await;
    server.join().unwrap();
    arrived
}

async fn survives(file: &[u8], what: &str) {
    let whole = stream(file);
    let arrived = served(whole.clone()).await.unwrap();
    assert!(arrived == file[MAGIC..], "{what} arrives as it was sent");
    let mut dice = Dice::new();
    for _ in 0..if is_full_size() { 400 } else { 40 } {
        let at = dice.below(whole.len());
        let mut flipped = whole.clone();
        flipped[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
        if let Ok(found) = served(flipped).await {
            assert!(found == arrived, "byte {at} of the stream of {what} was changed");
        }
        let cut = dice.below(whole.len());
        let told = served(whole[..cut].to_vec()).await;
        assert!(told.is_err(), "the stream of {what} ends at {cut} without a word");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_served_arrives_as_it_stands_in_its_file_or_not_at_all() {
    for version in all_mysql_versions() {
        let Some(server) = server(version, "a log that is served") else { continue };
        for way in Way::all(version) {
            for file in way.record(&server) {
                survives(&file.bytes, &format!("{} of {version}", file.file)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_other_servers_are_served_alike() {
    let Some(fixtures) = std::env::var_os("TAILSTOCK_FIXTURES") else {
        println!("skipped: TAILSTOCK_FIXTURES does not name the folder of the fixtures");
        return;
    };
    let folder = std::path::PathBuf::from(fixtures).join("binlogs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // Those that are packed or no log at all are read elsewhere.
        if bytes.starts_with(b"\xfebin") && bytes.len() < 4 << 20 {
            survives(&bytes, &path.display().to_string()).await;
        }
    }
}

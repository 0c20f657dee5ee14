//! Every log, damaged at random places: an error or the same as before, nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};

use connector_api::{Batch, Capture, Columns, Result, RowImage, SourceEvent, Value};
use connector_mysql::log::{Ending, LogFile};
use peak_alloc::PeakAlloc;
use testbed::all_mysql_versions;

use super::server;
use super::workload::Way;
use crate::binlog::{Catalog, Recorded, capture, decode};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading a log of less than a megabyte may take, whatever sizes its events state, beside the
/// tests that run meanwhile. Sizes of up to a gigabyte are believed to be possible.
const MEMORY_MAX: usize = 128 << 20;

/// The damages of each sort done to each log.
fn samples() -> usize {
    if is_full_size() { 600 } else { 60 }
}

pub fn is_full_size() -> bool {
    std::env::var("TAILSTOCK_TEST_SIZE").is_ok_and(|size| size == "full")
}

/// Numbers without a pattern, the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// What is decoded of a log, one number for each event, with all its values and its place.
fn told(log: &[u8], file: &str, wanted: &Capture) -> Result<(Vec<u64>, Ending)> {
    let batches = decode(log, file, wanted.clone(), Catalog::default())?;
    let of = |batch: &Batch| batch.events().iter().map(|it| number(batch, it)).collect::<Vec<_>>();
    let mut file = LogFile::open(log)?;
    while file.read_event()?.is_some() {}
    Ok((batches.iter().flat_map(of).collect(), file.ending()))
}

fn number(batch: &Batch, event: &SourceEvent) -> u64 {
    let mut hasher = DefaultHasher::new();
    let text = match event {
        SourceEvent::Begin(begin) => {
            format!("{} {}", batch.text(begin.txid), batch.text(begin.position))
        }
        SourceEvent::Row(row) => {
            let image = |image: RowImage<'_>| format!("{:?}", values(image));
            let images = [batch.before(row).map(image), batch.after(row).map(image)];
            format!("{:?} {} {images:?}", row.op, batch.table(row.table).name)
        }
        SourceEvent::SchemaChanged { table } => format!("{:?}", batch.table(*table)),
        SourceEvent::TableCleared { table, .. } => format!("{}", batch.table(*table).name),
        SourceEvent::Unreadable { table, reason, .. } => {
            format!("{} {reason}", batch.table(*table).name)
        }
        SourceEvent::Commit => "commit".to_owned(),
    };
    text.hash(&mut hasher);
    hasher.finish()
}

fn values(image: RowImage<'_>) -> Vec<Value<'_>> {
    image.values().collect()
}

#[test]
fn damage_to_the_logs_of_our_own_servers_never_goes_unnoticed() {
    for version in all_mysql_versions() {
        let test = "damage to the logs of our own servers";
        let Some(server) = server(version, test) else { continue };
        for way in Way::all(version) {
            for file in way.record(&server) {
                damage(&file, &capture(&server, Columns::All));
            }
        }
    }
}

fn damage(log: &Recorded, wanted: &Capture) {
    let Recorded { file, bytes } = log;
    let (whole, ending) = told(bytes, file, wanted).unwrap();
    assert!(!whole.is_empty());
    let mut dice = Dice::new();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    for _ in 0..samples() {
        let at = dice.below(bytes.len());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 + dice.below(255) as u8;
        if let Ok(found) = told(&flipped, file, wanted) {
            assert_eq!(found, (whole.clone(), ending), "byte {at} of {file} changed");
        }
        let at = dice.below(bytes.len());
        if let Ok((found, ending)) = told(&bytes[..at], file, wanted) {
            assert!(whole.starts_with(&found), "{file} cut at {at}");
            assert_eq!(ending, Ending::Open, "{file} cut at {at}");
        }
    }
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(bytes.len() < 1 << 20 && taken < MEMORY_MAX, "{file} took {taken} bytes");
}

//! Recorded logs of servers that are not ours, for tests.

use std::io::Read;
use std::path::PathBuf;

/// The unpacked binlog `name` of the fixtures, or none, said aloud, where there are none.
pub(crate) fn binlog(name: &str) -> Option<Vec<u8>> {
    let Some(fixtures) = std::env::var_os("TAILSTOCK_FIXTURES") else {
        println!("skipped: TAILSTOCK_FIXTURES does not name the folder of the fixtures");
        return None;
    };
    let path = PathBuf::from(fixtures).join("binlogs").join(name);
    let bytes = std::fs::read(&path).expect("the folder of the fixtures is whole");
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Some(bytes);
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).expect("it is gzip");
    Some(unpacked)
}

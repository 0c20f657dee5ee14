//! Any text or bytes are a set of GTIDs or refused; a set that is printed and read again is the
//! same, and what was united is contained.
#![no_main]

use connector_mysql::position::GtidSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = GtidSet::decode(data).or_else(|_| String::from_utf8_lossy(data).parse()) else {
        return;
    };
    let read_again: GtidSet = set.to_string().parse().expect("what is printed can be read");
    assert_eq!(set, read_again);
    let mut union = read_again;
    union.union(&set);
    assert!(set.is_subset(&union) && union.subtract(&set) == GtidSet::default());
});

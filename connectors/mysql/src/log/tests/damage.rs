//! Every log, damaged at random places: an error or the same as before, nothing else.

use super::super::*;
use super::encode;
use super::fixtures::Told;
use crate::fixtures::binlog;

/// The damages done to each log.
fn samples() -> usize {
    let is_full = std::env::var("TAILSTOCK_TEST_SIZE").is_ok_and(|size| size == "full");
    if is_full { 8_000 } else { 400 }
}

/// Numbers without a pattern, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Damages a log in which every event has a checksum.
fn damage_checked(log: &[u8]) {
    let (whole, ending) = Told::of(log).unwrap();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..samples() {
        let at = dice.below(log.len());
        let mut flipped = log.to_vec();
        flipped[at] ^= 1 + dice.below(255) as u8;
        if let Ok((told, _)) = Told::of(&flipped) {
            assert_eq!(told, whole, "byte {at} changed");
        }
        // A file that is cut between two events says that it may go on.
        if let Ok((told, found)) = Told::of(&log[..at]) {
            assert!(told.rows == whole.rows || ending == Ending::Open || found == Ending::Open);
        }
    }
}

/// Damages a log without checksums: what comes of it may be wrong, but something must.
fn damage_unchecked(log: &[u8]) {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..samples() {
        let at = dice.below(log.len());
        let mut flipped = log.to_vec();
        flipped[at] ^= 1 + dice.below(255) as u8;
        drop(Told::of(&flipped));
        drop(Told::of(&log[..at]));
    }
}

#[test]
fn damage_to_a_log_of_mysql_5_7_never_goes_unnoticed() {
    if let Some(log) = binlog("mysql-bin.checksum-crc32") {
        damage_checked(&log);
    }
}

#[test]
fn damage_to_a_compressed_transaction_never_goes_unnoticed() {
    if let Some(log) = binlog("mysql-bin.compressed") {
        damage_checked(&log);
    }
}

#[test]
fn damage_to_the_log_of_aurora_never_goes_unnoticed() {
    if let Some(log) = binlog("mysql-bin.aurora-padding") {
        damage_checked(&log);
    }
}

#[test]
fn a_damaged_log_without_checksums_ends() {
    if let Some(log) = binlog("mysql-bin.sakila.gz") {
        damage_unchecked(&log[..64 * 1024]);
    }
}

/// Every kind of event that holds anything, as a server of `format` has them.
fn one_of_each() -> Vec<(Kind, u16, Vec<u8>)> {
    let images = b"a row and another".to_vec();
    let rows = |extra: bool, maps, images: &[u8]| {
        let head = encode::rows_head(5, extra.then_some(b"extra"), 9, maps);
        [&head[..], images].concat()
    };
    let packed = encode::deflated(&images, images.len());
    let inner = encode::event(Kind::WRITE_ROWS, 0, &rows(true, 1, &images));
    let optional = [encode::part(1, &[0]), encode::part(2, &[45, 0, 63]), encode::part(8, &[0])];
    let types: [(u8, &[u8]); 3] = [(3, &[]), (15, &[80, 0]), (254, &[247, 1])];
    vec![
        (Kind::GTID, 0, [&[1; 25][..], &[2], &[3; 16], &[4; 7], &[9], &[0; 4]].concat()),
        (Kind::GTID_TAGGED, 0, vec![2, 80, 0, 4, 12]),
        (Kind::MARIADB_GTID, 0, [&[1; 12][..], &[64], &[1, 0, 0, 0, 1, 1, 7, 7]].concat()),
        (Kind::MARIADB_GTID_LIST, 0, [&[1, 0, 0, 0][..], &[5; 16]].concat()),
        (Kind::QUERY, 0, encode::query(&[4, 33, 0, 33, 0, 8, 0], "shop", b"BEGIN")),
        (Kind::MARIADB_QUERY_COMPRESSED, 0, encode::query(&[], "shop", &packed)),
        (Kind::TABLE_MAP, 0, encode::table_map(5, &types, &optional.concat())),
        (Kind::WRITE_ROWS_V1, 0, rows(false, 1, &images)),
        (Kind::UPDATE_ROWS, 0, rows(true, 2, &images)),
        (Kind::MARIADB_DELETE_ROWS_COMPRESSED_V1, 0, rows(false, 1, &packed)),
        (Kind::MARIADB_UPDATE_ROWS_COMPRESSED, 0, rows(true, 2, &packed)),
        (Kind::XA_PREPARE, 0, [&[1, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0][..], b"glb"].concat()),
        (Kind::HEARTBEAT_V2, 0, vec![1, 2, b'f', b'g', 2, 1, 9, 0]),
        (Kind::INCIDENT, 0, b"\x01\x00\x04lost".to_vec()),
        (Kind::TRANSACTION_PAYLOAD, 0, encode::payload(0, inner.len(), &encode::zstd(&inner))),
        (Kind::XID, 0, vec![1; 8]),
    ]
}

#[test]
fn damage_to_a_log_of_every_event_never_goes_unnoticed() {
    let mut events = one_of_each();
    // This one lacks its UUID on purpose, for the damage below.
    events.retain(|(kind, ..)| *kind != Kind::GTID_TAGGED);
    for format in [encode::mysql(), encode::mariadb()] {
        damage_checked(&encode::file(&format, &events));
    }
}

/// Behind a checksum that is right anything may stand: a broken server is no reason to panic.
#[test]
fn events_of_any_bytes_with_a_right_checksum_end_in_an_error_or_an_event() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let format = encode::mariadb();
    for _ in 0..samples() {
        for (kind, flags, body) in one_of_each() {
            let mut body = body;
            for _ in 0..=dice.below(3) {
                let at = dice.below(body.len());
                body[at] = dice.below(256) as u8;
            }
            body.truncate(body.len() - dice.below(2) * dice.below(body.len()));
            drop(Told::of(&encode::file(&format, &[(kind, flags, body)])));
        }
    }
}

//! Transactions packed into one event, and what the head of a log says of checksums.

use super::super::*;
use super::encode;

fn transaction() -> Vec<u8> {
    let events = [
        encode::event(Kind::QUERY, 0, &encode::query(&[], "shop", b"BEGIN")),
        encode::event(Kind::TABLE_MAP, 0, &encode::table_map(5, &[(3, &[])], &[])),
        encode::event(Kind::XID, 0, &[1, 0, 0, 0, 0, 0, 0, 0]),
    ];
    events.concat()
}

/// The types of the events inside, or what is wrong.
fn inside(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut framing = Framing::default();
    framing.frame(&encode::mysql()).unwrap();
    let event = encode::checked(encode::event(Kind::TRANSACTION_PAYLOAD, 0, body));
    let said = |error: connector_api::Error| error.to_string();
    let Event::TransactionPayload(payload) =
        framing.frame(&event).unwrap().event().map_err(said)?
    else {
        panic!()
    };
    let mut unpacker = Unpacker::default();
    let mut events = payload.events(&mut unpacker).map_err(said)?;
    let mut kinds = Vec::new();
    while let Some(frame) = events.read_event().map_err(said)? {
        frame.event().map_err(said)?;
        kinds.push(frame.header.kind.0);
    }
    Ok(kinds)
}

#[test]
fn a_payload_is_unpacked_whether_compressed_in_one_piece_or_two_or_not_at_all() {
    let bytes = transaction();
    let zstd = encode::payload(0, bytes.len(), &encode::zstd(&bytes));
    assert_eq!(inside(&zstd), Ok(vec![2, 19, 16]));
    let pieces = [encode::zstd(&bytes[..50]), encode::zstd(&bytes[50..])].concat();
    assert_eq!(inside(&encode::payload(0, bytes.len(), &pieces)), Ok(vec![2, 19, 16]));
    let plain = encode::payload(255, bytes.len(), &bytes);
    assert_eq!(inside(&plain), Ok(vec![2, 19, 16]));
}

#[test]
fn a_payload_that_is_not_what_it_says_is_an_error_and_never_an_empty_transaction() {
    let bytes = transaction();
    let packed = encode::zstd(&bytes);
    let len = bytes.len();
    let mut damaged = packed.clone();
    damaged[6] ^= 0x10;
    let cases = [
        ("shorter than stated", encode::payload(0, len + 1, &packed)),
        ("longer than stated", encode::payload(0, len - 1, &packed)),
        ("longer by an event", encode::payload(0, len - 27, &packed)),
        ("less than a header", encode::payload(0, 18, &packed)),
        ("nothing stated", encode::payload(0, 0, &encode::zstd(b""))),
        ("cut", encode::payload(0, len, &packed[..packed.len() - 3])),
        ("empty", encode::payload(0, len, b"")),
        ("with junk behind it", encode::payload(0, len, &[&packed[..], b"junk"].concat())),
        ("damaged", encode::payload(0, len, &damaged)),
        ("of another algorithm", encode::payload(1, len, &packed)),
        ("not events", encode::payload(0, 40, &encode::zstd(&[0xff; 40]))),
        ("of other length", [encode::payload(0, len, &packed), vec![0]].concat()),
    ];
    for (what, body) in cases {
        inside(&body).expect_err(what);
    }
    let inner = encode::payload(255, len, &bytes);
    let nested = encode::event(Kind::TRANSACTION_PAYLOAD, 0, &inner);
    let error = inside(&encode::payload(255, nested.len(), &nested)).unwrap_err();
    assert!(error.contains("never is in one"), "{error}");
}

#[test]
fn a_payload_given_up_half_way_leaves_nothing_to_the_next() {
    let bytes = transaction();
    let body = encode::payload(0, bytes.len(), &encode::zstd(&bytes));
    let mut framing = Framing::default();
    framing.frame(&encode::mysql()).unwrap();
    let event = encode::checked(encode::event(Kind::TRANSACTION_PAYLOAD, 0, &body));
    let Event::TransactionPayload(payload) = framing.frame(&event).unwrap().event().unwrap() else {
        panic!()
    };
    let mut unpacker = Unpacker::default();
    for read in [1, 2, 3, 1, 3] {
        let mut events = payload.events(&mut unpacker).unwrap();
        for kind in &[2, 19, 16][..read] {
            assert_eq!(events.read_event().unwrap().unwrap().header.kind.0, *kind);
        }
    }
}

#[test]
fn a_stream_goes_on_in_a_file_that_is_written_in_another_way() {
    let rotate = |file: &[u8]| {
        let body = [&4_u64.to_le_bytes()[..], file].concat();
        encode::event(Kind::ROTATE, encode::ARTIFICIAL, &body)
    };
    let xid = encode::event(Kind::XID, 0, &[5, 0, 0, 0, 0, 0, 0, 0]);
    let none = encode::format_body("8.4.2", 42, Some(0));
    let none = encode::checked(encode::event(Kind::FORMAT_DESCRIPTION, 0, &none));
    let stream = [
        encode::checked(rotate(b"bin.000001")),
        encode::mysql(),
        encode::checked(xid.clone()),
        encode::checked(rotate(b"bin.000002")),
        none,
        xid.clone(),
        rotate(b"bin.000003"),
        encode::mysql(),
        encode::checked(xid),
    ];
    let mut framing = Framing::default();
    let mut files = Vec::new();
    for event in &stream {
        match framing.frame(event).unwrap().event().unwrap() {
            Event::Rotate(rotate) => files.push(String::from_utf8_lossy(rotate.file).into_owned()),
            Event::Xid(number) => assert_eq!(number, 5),
            other => assert!(matches!(other, Event::FormatDescription), "{other:?}"),
        }
    }
    assert_eq!(files, ["bin.000001", "bin.000002", "bin.000003"]);
}

#[test]
fn a_server_without_checksums_announces_none_and_is_not_held_to_its_own() {
    let body = encode::format_body("8.0.40", 42, Some(0));
    let event = encode::checked(encode::event(Kind::FORMAT_DESCRIPTION, 0, &body));
    assert!(!Format::read(&event).unwrap().has_checksums);
    // Sent again in the middle of a file the event is changed, and its checksum is not.
    let mut again = event;
    let created = 19 + 2 + 50;
    again[created..created + 4].fill(0);
    let format = Format::read(&again).unwrap();
    assert_eq!((format.created, format.has_checksums), (0, false));
}

#[test]
fn checksums_cannot_be_switched_off_by_damage() {
    let event = encode::mysql();
    assert!(Format::read(&event).unwrap().has_checksums);
    for at in 0..event.len() {
        for bit in 0..8 {
            let mut damaged = event.clone();
            damaged[at] ^= 1 << bit;
            let mut framing = Framing::default();
            // The flag that says the file is open is not under the checksum.
            let may_pass = at == 17 && bit == 0;
            let passed = framing.frame(&damaged).is_ok() && framing.format().is_some();
            assert_eq!(passed, may_pass, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn families_and_ages_of_servers_are_told_apart() {
    let cases = [
        ("5.5.27-log", 27, None, Flavor::MySql, false),
        ("5.6.0-m4", 27, None, Flavor::MySql, false),
        ("5.7.44-log", 38, Some(1), Flavor::MySql, true),
        ("9.7.4", 42, Some(1), Flavor::MySql, true),
        ("10.5.29-MariaDB-1:10.5.29+maria~deb11-log", 171, Some(1), Flavor::MariaDb, true),
        ("5.7.30", 171, Some(1), Flavor::MariaDb, true),
    ];
    for (version, types, algorithm, flavor, has_checksums) in cases {
        let event = encode::event(
            Kind::FORMAT_DESCRIPTION,
            0,
            &encode::format_body(version, types, algorithm),
        );
        let event = if algorithm.is_some() { encode::checked(event) } else { event };
        let format = Format::read(&event).unwrap();
        assert_eq!((format.flavor, format.has_checksums), (flavor, has_checksums), "{version}");
        assert_eq!(format.server_version, version);
    }
}

#[test]
fn an_encrypted_part_of_a_file_is_refused_with_what_to_do() {
    let log = encode::file(&encode::mariadb(), &[(Kind::MARIADB_START_ENCRYPTION, 0, vec![1; 17])]);
    let mut file = LogFile::open(&log[..]).unwrap();
    file.read_event().unwrap();
    let error = file.read_event().unwrap_err();
    assert!(error.fix().is_some(), "{error}");
}

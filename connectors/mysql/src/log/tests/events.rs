//! Events written as servers do, and read back.

use proptest::prelude::*;

use super::super::*;
use super::encode::{self, ARTIFICIAL, IGNORABLE};

/// Reads one event of a log of `format`, and says what is wrong with it or what `check` says.
fn read<T>(format: &[u8], event: &[u8], check: impl FnOnce(Event<'_>) -> T) -> Result<T, String> {
    let mut framing = Framing::default();
    framing.frame(format).unwrap();
    let frame = framing.frame(event).map_err(|error| error.to_string())?;
    frame.event().map(check).map_err(|error| error.to_string())
}

fn body<T>(kind: Kind, body: &[u8], check: impl FnOnce(Event<'_>) -> T) -> Result<T, String> {
    let format = if kind.0 >= 160 { encode::mariadb() } else { encode::mysql() };
    read(&format, &encode::checked(encode::event(kind, 0, body)), check)
}

fn shown(event: Event<'_>) -> String {
    format!("{event:?}")
}

#[test]
fn a_query_says_its_schema_its_settings_and_its_text() {
    let status = [
        &[0, 0, 0, 0, 0, 1][..],
        &(4_u64 | 1 << 20).to_le_bytes(),
        b"\x06\x03std\x03\x01\x00\x01\x00\x04\x21\x00\x21\x00\x08\x00\x05\x03UTC",
        // Newer than these, of a length that nobody knows.
        &[200, 1, 2, 3],
    ]
    .concat();
    for (kind, head) in [(Kind::QUERY, 13), (Kind::EXECUTE_LOAD_QUERY, 13)] {
        let mut bytes = encode::query(&status, "shop", b"BEGIN");
        if kind == Kind::EXECUTE_LOAD_QUERY {
            bytes.splice(head..head, [0; 13]);
        }
        body(kind, &bytes, |event| {
            let Event::Query(query) = event else { panic!("{event:?}") };
            assert_eq!((query.thread_id, query.error_code, query.schema), (11, 0, &b"shop"[..]));
            assert_eq!(query.charset, Some(33));
            assert!(query.has_ansi_quotes());
            assert_eq!(query.text.bytes(&mut Vec::new()).unwrap(), b"BEGIN");
        })
        .unwrap();
    }
}

#[test]
fn a_compressed_query_is_inflated_to_exactly_its_stated_size() {
    let text = b"UPDATE stock SET quantity = quantity - 1".repeat(50);
    for (stated, bytes, fits) in [
        (text.len(), encode::deflated(&text, text.len()), true),
        (text.len() - 1, encode::deflated(&text, text.len() - 1), false),
        (text.len() + 1, encode::deflated(&text, text.len() + 1), false),
        // A size that would take a gigabyte, if it were believed.
        (0xff_ffff, encode::deflated(&text, 0xff_ffff), false),
    ] {
        let bytes = encode::query(&[], "shop", &bytes);
        body(Kind::MARIADB_QUERY_COMPRESSED, &bytes, |event| {
            let Event::Query(query) = event else { panic!("{event:?}") };
            let mut room = Vec::new();
            let found = query.text.bytes(&mut room);
            assert_eq!(found.is_ok(), fits, "{stated}: {found:?}");
            assert!(!fits || room == text);
            assert!(room.capacity() < 64 * 1024);
        })
        .unwrap();
    }
}

#[test]
fn compressed_bytes_that_are_damaged_or_unknown_are_refused() {
    let text = b"INSERT".repeat(100);
    let mut damaged = encode::deflated(&text, text.len());
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let unknown = [&[0x91][..], &encode::deflated(&text, text.len())[1..]].concat();
    let bytes = encode::query(&[], "", &damaged);
    body(Kind::MARIADB_QUERY_COMPRESSED, &bytes, |event| {
        let Event::Query(query) = event else { panic!("{event:?}") };
        let error = query.text.bytes(&mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    })
    .unwrap();
    let bytes = encode::query(&[], "", &unknown);
    body(Kind::MARIADB_QUERY_COMPRESSED, &bytes, shown).unwrap_err();
}

#[test]
fn the_gtids_of_each_version_of_mysql_are_read() {
    let uuid: [u8; 16] = std::array::from_fn(|nth| 0xf0 ^ nth as u8);
    let head = [&[1][..], &uuid, &9_u64.to_le_bytes()].concat();
    let clocks = [&[2][..], &5_u64.to_le_bytes(), &6_u64.to_le_bytes()].concat();
    let time = 1_700_000_000_000_000_u64;
    let one = [&time.to_le_bytes()[..7], &encode::packed(1234), &80_402_u32.to_le_bytes()].concat();
    let both = [&(time | 1 << 55).to_le_bytes()[..7], &(time - 9).to_le_bytes()[..7]].concat();
    let cases = [
        (head.clone(), 0, None, None, None),
        ([&head[..], &clocks].concat(), 6, None, None, None),
        ([&head[..], &clocks, &one].concat(), 6, Some(time), Some(time), Some(1234)),
        ([&head[..], &clocks, &both, &[7]].concat(), 6, Some(time), Some(time - 9), Some(7)),
    ];
    for (bytes, sequence, committed, first, len) in cases {
        body(Kind::GTID, &bytes, |event| {
            let Event::Gtid(gtid) = event else { panic!("{event:?}") };
            assert_eq!(gtid.owner, Some(GtidOwner { uuid, tag: b"", number: 9 }));
            assert_eq!((gtid.rows_only, gtid.sequence_number), (false, sequence));
            assert_eq!((gtid.committed_at_us, gtid.first_committed_at_us), (committed, first));
            assert_eq!(gtid.transaction_bytes, len);
        })
        .unwrap();
    }
    let anonymous = [&[0][..], &[0; 24], &clocks].concat();
    let owner = body(Kind::ANONYMOUS_GTID, &anonymous, |event| {
        let Event::Gtid(gtid) = event else { panic!("{event:?}") };
        gtid.owner.is_none() && gtid.rows_only
    });
    assert_eq!(owner, Ok(true));
    let zero = [&[0][..], &[0; 24]].concat();
    assert!(body(Kind::GTID, &zero, shown).unwrap_err().contains("transaction number 0"));
}

#[test]
fn mariadb_gtids_say_what_kind_of_group_follows() {
    let head = |flags: u8| [&8_u64.to_le_bytes()[..], &3_u32.to_le_bytes(), &[flags]].concat();
    let padded = [head(1 | 32), vec![0; 6]].concat();
    body(Kind::MARIADB_GTID, &padded, |event| {
        let Event::MariadbGtid(gtid) = event else { panic!("{event:?}") };
        assert_eq!((gtid.domain, gtid.server, gtid.sequence), (3, 7, 8));
        assert!(gtid.is_standalone && gtid.is_ddl && !gtid.is_transactional && gtid.xa.is_none());
    })
    .unwrap();
    let xa = [&head(2 | 4 | 64)[..], &[0; 8], &1_u32.to_le_bytes(), &[2, 1], b"glb", &[0]].concat();
    body(Kind::MARIADB_GTID, &xa, |event| {
        let Event::MariadbGtid(gtid) = event else { panic!("{event:?}") };
        let xa = gtid.xa.unwrap();
        assert_eq!((xa.format_id, xa.global, xa.branch), (1, &b"gl"[..], &b"b"[..]));
        assert!(gtid.prepares_xa && !gtid.completes_xa && gtid.is_transactional);
    })
    .unwrap();
    let entry = [&0_u32.to_le_bytes()[..], &7_u32.to_le_bytes(), &5_u64.to_le_bytes()].concat();
    let list = [&(2_u32 | 1 << 28).to_le_bytes()[..], &entry, &entry].concat();
    body(Kind::MARIADB_GTID_LIST, &list, |event| {
        let Event::MariadbGtidList(list) = event else { panic!("{event:?}") };
        assert_eq!(list.iter().collect::<Vec<_>>(), [(0, 7, 5), (0, 7, 5)]);
    })
    .unwrap();
    body(Kind::MARIADB_GTID_LIST, &list[..35], shown).unwrap_err();
    body(Kind::MARIADB_GTID_LIST, &[0; 10], shown).unwrap();
}

#[test]
fn heartbeats_of_every_kind_say_where_the_server_is() {
    let cases = [
        (Kind::HEARTBEAT, encode::mysql(), b"bin.000003".to_vec(), 0),
        (
            Kind::HEARTBEAT,
            encode::mariadb(),
            [&(5_u64 << 32).to_le_bytes()[..], b"bin.000003"].concat(),
            5 << 32,
        ),
        (
            Kind::HEARTBEAT_V2,
            encode::mysql(),
            [&b"\x01\x0abin.000003\x02"[..], &encode::packed_bytes(&encode::packed(70_000)), &[0]]
                .concat(),
            70_000,
        ),
    ];
    for (kind, format, bytes, position) in cases {
        read(&format, &encode::checked(encode::event(kind, 0, &bytes)), |event| {
            let expected = Heartbeat { file: b"bin.000003", position };
            assert!(matches!(event, Event::Heartbeat(found) if found == expected), "{event:?}");
        })
        .unwrap();
    }
}

#[test]
fn the_smaller_events_are_read() {
    let xa = [&[1][..], &[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0], b"glb"].concat();
    body(Kind::XA_PREPARE, &xa, |event| {
        let Event::XaPrepare(xa) = event else { panic!("{event:?}") };
        assert!(xa.one_phase);
        assert_eq!((xa.format_id, xa.global, xa.branch), (1, &b"gl"[..], &b"b"[..]));
    })
    .unwrap();
    let incident = body(Kind::INCIDENT, b"\x01\x00\x04lost", shown).unwrap();
    assert!(incident.contains("cause: 1"), "{incident}");
    assert_eq!(body(Kind::XID, &[9, 0, 0, 0, 0, 0, 0, 0], shown).unwrap(), "Xid(9)");
    body(Kind::XID, &[9; 9], shown).unwrap_err();
    assert_eq!(body(Kind::STOP, &[], shown).unwrap(), "Stop");
    let annotated = body(Kind::MARIADB_ANNOTATE_ROWS, b"DELETE", shown).unwrap();
    assert_eq!(annotated, "Ignored(Kind(160))");
}

#[test]
fn an_unknown_event_is_passed_over_only_where_its_server_allows_it() {
    let unknown = |flags| {
        let event = encode::checked(encode::event(Kind(120), flags, b"anything"));
        read(&encode::mysql(), &event, shown).unwrap()
    };
    assert_eq!(unknown(IGNORABLE), "Ignored(Kind(120))");
    assert_eq!(unknown(0), "Unknown(Kind(120))");
    assert_eq!(body(Kind(172), b"part", shown).unwrap(), "Unknown(Kind(172))");
}

#[test]
fn the_made_up_rotate_at_the_head_of_a_stream_may_have_a_checksum_or_not() {
    let bytes = [&4_u64.to_le_bytes()[..], b"bin.000001"].concat();
    let plain = encode::event(Kind::ROTATE, ARTIFICIAL, &bytes);
    for event in [encode::checked(plain.clone()), plain] {
        let mut framing = Framing::default();
        let Event::Rotate(rotate) = framing.frame(&event).unwrap().event().unwrap() else {
            panic!()
        };
        assert_eq!((rotate.position, rotate.file), (4, &b"bin.000001"[..]));
        assert!(rotate.is_artificial);
    }
    let event = encode::event(Kind::XID, 0, &[0; 8]);
    let error = Framing::default().frame(&event).unwrap_err().to_string();
    assert!(error.contains("FORMAT_DESCRIPTION"), "{error}");
}

#[test]
fn tagged_gtids_leave_out_what_is_usual() {
    let head = [encode::varint(1), encode::varint(40), encode::varint(0)].concat();
    let uuid: Vec<u8> = (0..16).flat_map(|nth| encode::varint(0xf0 + nth)).collect();
    let named = [&encode::varint(1)[..], &uuid, &encode::varint(2), &encode::signed_varint(3)];
    let bytes = [head.clone(), named.concat()].concat();
    body(Kind::GTID_TAGGED, &bytes, |event| {
        let Event::Gtid(gtid) = event else { panic!("{event:?}") };
        let owner = gtid.owner.unwrap();
        assert_eq!((owner.uuid[15], owner.tag, owner.number), (0xff, &b""[..], 3));
    })
    .unwrap();
    body(Kind::GTID_TAGGED, &head, shown).unwrap_err();
    let needed = [encode::varint(1), encode::varint(40), encode::varint(99)].concat();
    let unknown = [needed, named.concat(), encode::varint(77), vec![0]].concat();
    assert!(body(Kind::GTID_TAGGED, &unknown, shown).unwrap_err().contains("77"));
}

proptest! {
    #[test]
    fn headers_are_read_back(
        bytes in prop::array::uniform19(any::<u8>())
    ) {
        let size = u32::from_le_bytes([bytes[9], bytes[10], bytes[11], bytes[12]]);
        match Header::read(&bytes) {
            Ok(header) => {
                prop_assert_eq!((header.kind.0, header.size), (bytes[4], size));
                prop_assert_eq!(header.flags.to_le_bytes(), [bytes[17], bytes[18]]);
            }
            Err(_) => prop_assert!(size < 19),
        }
        prop_assert!(Header::read(&bytes[..18]).is_err());
    }

    #[test]
    fn tagged_gtids_are_read_back(
        uuid in any::<[u8; 16]>(),
        number in 1_u64..=i64::MAX as u64,
        tag in "[a-z_][a-z0-9_]{0,31}",
        clocks in (0_i64.., 0_i64..),
        times in (any::<u64>(), any::<u64>()),
        len in any::<u64>(),
    ) {
        let mut bytes = [encode::varint(1), encode::varint(90), encode::varint(11)].concat();
        bytes.extend([encode::varint(0), encode::varint(1), encode::varint(1)].concat());
        for byte in uuid {
            bytes.extend(encode::varint(byte.into()));
        }
        bytes.extend([encode::varint(2), encode::signed_varint(number as i64)].concat());
        bytes.extend([encode::varint(3), encode::varint(tag.len() as u64)].concat());
        bytes.extend(tag.as_bytes());
        bytes.extend([encode::varint(4), encode::signed_varint(clocks.0)].concat());
        bytes.extend([encode::varint(5), encode::signed_varint(clocks.1)].concat());
        bytes.extend([encode::varint(6), encode::varint(times.0)].concat());
        bytes.extend([encode::varint(7), encode::varint(times.1)].concat());
        bytes.extend([encode::varint(8), encode::varint(len)].concat());
        bytes.extend([encode::varint(9), encode::varint(90_700)].concat());
        let found = body(Kind::GTID_TAGGED, &bytes, |event| {
            let Event::Gtid(gtid) = event else { panic!("{event:?}") };
            let owner = GtidOwner { uuid, tag: tag.as_bytes(), number };
            gtid == Gtid {
                owner: Some(owner),
                rows_only: false,
                last_committed: clocks.0 as u64,
                sequence_number: clocks.1 as u64,
                committed_at_us: Some(times.0),
                first_committed_at_us: Some(times.1),
                transaction_bytes: Some(len),
            }
        });
        prop_assert_eq!(found, Ok(true));
    }

    #[test]
    fn packed_integers_are_read_back(number in prop_oneof![any::<u64>(), 0_u64..0x2_0000]) {
        let bytes = [&b"\x02"[..], &encode::packed_bytes(&encode::packed(number)), &[0]].concat();
        let found = body(Kind::HEARTBEAT_V2, &bytes, |event| {
            let Event::Heartbeat(heartbeat) = event else { panic!("{event:?}") };
            heartbeat.position
        });
        prop_assert_eq!(found, Ok(number));
    }
}

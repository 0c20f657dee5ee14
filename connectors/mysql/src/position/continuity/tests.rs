#![allow(clippy::unwrap_used)]

use connector_api::{Capture, Lineage, Partial, Position};

use super::*;

const OURS: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const OTHER: &str = "8f2d0e9c-71ca-11e1-9e33-c80aa9429562";
const CREATED: u32 = 1_700_000_000;

fn logs(files: &[(&str, u64)]) -> Vec<ListedLog> {
    files
        .iter()
        .map(|(file, size)| ListedLog { file: file.parse().unwrap(), size: *size })
        .collect()
}

fn history(mode: GtidMode, executed: &str, purged: &str) -> History {
    let (executed, purged) = (executed.parse().unwrap(), purged.parse().unwrap());
    History::MySql { mode, executed, purged }
}

/// A MySQL server with GTIDs whose log holds what the checkpoint of [`point`] needs.
fn mysql() -> ServerFacts {
    ServerFacts {
        identity: LogIdentity::MySql(OURS.parse().unwrap()),
        logs: logs(&[("binlog.000006", 900), ("binlog.000007", 900), ("binlog.000008", 200)]),
        created: Some(CREATED),
        history: history(GtidMode::On, &format!("{OURS}:1-80"), &format!("{OURS}:1-10")),
    }
}

fn without_gtids() -> ServerFacts {
    ServerFacts { history: history(GtidMode::Off, "", ""), ..mysql() }
}

fn another_server(executed: &str, purged: &str) -> ServerFacts {
    ServerFacts {
        identity: LogIdentity::MySql(OTHER.parse().unwrap()),
        logs: logs(&[("binlog.000007", 9_000)]),
        created: Some(CREATED + 9),
        history: history(GtidMode::On, executed, purged),
    }
}

fn mariadb(server: u32, state: &str, purged: &str) -> ServerFacts {
    let (state, purged) = (state.parse().unwrap(), purged.parse().unwrap());
    ServerFacts {
        identity: LogIdentity::MariaDb { domain: 0, server },
        history: History::MariaDb { state, purged, counts_alone: false },
        ..mysql()
    }
}

fn at(lineage: &str, position: String) -> ResumePoint {
    ResumePoint::new(Lineage::new(lineage), Position::new(position), Capture { tables: Vec::new() })
}

fn point() -> ResumePoint {
    let place = format!("1/binlog.000007/500/{CREATED}/mysql={OURS}:1-50");
    at(&format!("mysql/{OURS}"), place)
}

fn point_without_gtids() -> ResumePoint {
    at(&format!("mysql/{OURS}"), format!("1/binlog.000007/500/{CREATED}"))
}

fn maria_point() -> ResumePoint {
    at("mariadb/0-1", format!("1/binlog.000007/500/{CREATED}/mariadb=0-1-50"))
}

fn judge(last: &ResumePoint, server: &ServerFacts) -> Continuity {
    continuity(Some(last), server)
}

fn broken(last: &ResumePoint, server: &ServerFacts) -> String {
    match judge(last, server) {
        Continuity::Broken { reason, from: None } => reason,
        other => panic!("{other:?}"),
    }
}

fn renumbered(last: &ResumePoint, server: &ServerFacts) -> String {
    match judge(last, server) {
        Continuity::Renumbered { reason, position } => {
            let place = LogPosition::from_position(&position).unwrap();
            let read = LogPosition::from_position(&last.position).unwrap();
            assert_eq!(place, read.elsewhere());
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_checkpoint_there_is_nothing_to_go_on_from() {
    assert_eq!(continuity(None, &mysql()), Continuity::New);
}

#[test]
fn the_same_file_that_reaches_as_far_is_intact() {
    for server in [mysql(), without_gtids()] {
        assert_eq!(judge(&point(), &server), Continuity::Intact);
        assert_eq!(judge(&point_without_gtids(), &server), Continuity::Intact);
    }
    let to_the_byte = ServerFacts { logs: logs(&[("binlog.000007", 500)]), ..mysql() };
    assert_eq!(judge(&point(), &to_the_byte), Continuity::Intact);
    assert_eq!(judge(&maria_point(), &mariadb(1, "0-1-80", "")), Continuity::Intact);
}

#[test]
fn an_open_transaction_makes_no_difference() {
    let partial = Some(Partial { txid: format!("{OURS}:51"), rows: 3 });
    assert_eq!(judge(&ResumePoint { partial, ..point() }, &mysql()), Continuity::Intact);
}

#[test]
fn files_that_were_renamed_after_the_checkpoint_s_are_still_its_log() {
    let files = logs(&[("binlog.000007", 900), ("renamed.000008", 200)]);
    assert_eq!(judge(&point(), &ServerFacts { logs: files, ..mysql() }), Continuity::Intact);
}

#[test]
fn a_purged_file_without_gtids_breaks_the_log() {
    let server = ServerFacts { logs: logs(&[("binlog.000008", 900)]), ..without_gtids() };
    assert_eq!(
        broken(&point_without_gtids(), &server),
        "binlog.000007 of the checkpoint is purged: the oldest file is binlog.000008; the \
         checkpoint has no GTIDs, which alone could prove the rest"
    );
}

#[test]
fn a_purged_file_whose_transactions_were_all_read_leaves_no_gap() {
    let logs = logs(&[("binlog.000008", 900)]);
    let with = |purged: u32| ServerFacts {
        logs: logs.clone(),
        created: None,
        history: history(GtidMode::On, &format!("{OURS}:1-80"), &format!("{OURS}:1-{purged}")),
        ..mysql()
    };
    let purged = "binlog.000007 of the checkpoint is purged: the oldest file is binlog.000008";
    assert_eq!(renumbered(&point(), &with(50)), purged);
    assert_eq!(
        broken(&point(), &with(52)),
        format!("{purged}; the server has purged {OURS}:51-52, which the checkpoint has not")
    );
}

#[test]
fn a_reset_log_that_has_not_come_as_far_breaks_the_log() {
    let reset = ServerFacts { logs: logs(&[("binlog.000001", 900)]), created: None, ..mysql() };
    assert_eq!(
        broken(&point(), &reset),
        "the server's log ends with binlog.000001, before the checkpoint in binlog.000007: the log \
         was reset, or the server restored"
    );
}

#[test]
fn a_reset_log_breaks_even_when_file_and_gtids_were_counted_past_the_checkpoint_again() {
    let reset = ServerFacts {
        created: Some(CREATED + 1),
        history: history(GtidMode::On, &format!("{OURS}:1-500"), ""),
        ..mysql()
    };
    for last in [point(), point_without_gtids()] {
        assert_eq!(
            broken(&last, &reset),
            "binlog.000007 is another file of the same name, begun at 1700000001 and not at \
             1700000000: the log was reset, or the server restored"
        );
    }
    let maria = ServerFacts { created: Some(CREATED + 1), ..mariadb(1, "0-1-500", "") };
    assert!(broken(&maria_point(), &maria).contains("another file of the same name"));
}

#[test]
fn a_server_behind_the_checkpoint_was_restored() {
    let shorter = ServerFacts { logs: logs(&[("binlog.000007", 499)]), ..mysql() };
    assert_eq!(
        broken(&point(), &shorter),
        "binlog.000007 ends at 499, before the checkpoint at 500: the server was restored, or has \
         lost the end of its log in a crash"
    );
}

#[test]
fn a_backup_restored_on_another_server_breaks_the_log() {
    let restored = another_server(&format!("{OURS}:1-40,{OTHER}:1-900"), "");
    let reason = broken(&point(), &restored);
    let missing = format!("the server has never had {OURS}:41-50, which the checkpoint has");
    assert!(reason.ends_with(&missing), "{reason}");
}

#[test]
fn a_file_whose_beginning_cannot_be_read_proves_nothing() {
    let unreadable = ServerFacts { created: None, ..mysql() };
    assert_eq!(
        broken(&point(), &unreadable),
        "binlog.000007 is listed, but its beginning cannot be read"
    );
}

#[test]
fn another_server_with_all_gtids_continues_under_new_numbers() {
    let promoted = another_server(&format!("{OURS}:1-60,{OTHER}:1-5"), &format!("{OURS}:1-50"));
    assert_eq!(
        renumbered(&point(), &promoted),
        format!("another server answers: mysql/{OTHER} where the checkpoint is of mysql/{OURS}")
    );
}

/// Until something of the new log is stored, nothing of the old one's place is compared with it.
#[test]
fn a_new_log_is_known_by_its_transactions_alone_until_something_of_it_is_read() {
    let other = another_server(&format!("{OURS}:1-60,{OTHER}:1-5"), &format!("{OURS}:1-50"));
    // The old server was far ahead, or far behind, or stood in a file of the same name.
    for number in [1, 7, 500] {
        let place = format!("1/binlog.{number:06}/500/{CREATED}/mysql={OURS}:1-50");
        let last = at(&format!("mysql/{OURS}"), place);
        let Continuity::Renumbered { position, .. } = judge(&last, &other) else {
            panic!("all that was read is there");
        };
        let place = LogPosition::from_position(&position).unwrap();
        let head = LogPosition {
            gtids: Gtids::MySql(format!("{OURS}:1-60,{OTHER}:1-5").parse().unwrap()),
            ..format!("1/binlog.000007/9000/{}", CREATED + 9).parse().unwrap()
        };
        assert!(!place.covers(&head) && place.covers(&place));
        assert!(!place.covers(&LogPosition { gtids: Gtids::None, ..head.clone() }));
        let read = "1/binlog.000001/4/0".parse().unwrap();
        assert!(!place.covers(&LogPosition { gtids: Gtids::None, ..read }));
        assert_eq!(LogPosition::coordinate(&place.file, place.offset), 0);

        let stored = ResumePoint { position, ..at(&format!("mysql/{OTHER}"), String::new()) };
        assert_eq!(judge(&stored, &other), Continuity::Intact);
        let purged = another_server(&format!("{OURS}:1-60"), &format!("{OURS}:1-55"));
        assert!(broken(&stored, &purged).contains("has purged"));
        renumbered(&stored, &mysql());
    }
}

#[test]
fn a_place_without_its_file_s_beginning_is_proved_by_transactions() {
    let place = format!("1/binlog.000007/500/0/mysql={OURS}:1-50");
    let last = at(&format!("mysql/{OURS}"), place);
    assert_eq!(judge(&last, &mysql()), Continuity::Intact);
    let reset = ServerFacts { history: history(GtidMode::On, "", ""), ..mysql() };
    assert!(broken(&last, &reset).contains("has never had"));
}

#[test]
fn another_server_that_purged_what_was_not_read_breaks_the_log() {
    let promoted = another_server(&format!("{OURS}:1-60"), &format!("{OURS}:1-51"));
    assert!(broken(&point(), &promoted).contains(&format!("has purged {OURS}:51, which")));
    // Of an origin the checkpoint has never heard of.
    let promoted = another_server(&format!("{OURS}:1-60,{OTHER}:1-5"), &format!("{OTHER}:1"));
    assert!(broken(&point(), &promoted).contains(&format!("has purged {OTHER}:1, which")));
}

#[test]
fn another_server_without_gtids_breaks_the_log_though_its_file_looks_the_same() {
    let mut other = another_server("", "");
    other.created = Some(CREATED);
    let reason = broken(&point_without_gtids(), &other);
    assert!(reason.starts_with("another server answers") && reason.contains("no GTIDs"));
    let reason = broken(&point(), &other);
    assert!(reason.contains("has never had"), "{reason}");
}

#[test]
fn transactions_without_a_gtid_prove_nothing_elsewhere() {
    let modes = [GtidMode::Off, GtidMode::OffPermissive, GtidMode::OnPermissive];
    for mode in modes {
        let set = format!("{OURS}:1-60");
        let other = ServerFacts { history: history(mode, &set, ""), ..another_server("", "") };
        let reason = broken(&point(), &other);
        assert!(reason.contains(&format!("with gtid_mode {mode} transactions")), "{reason}");
    }
}

#[test]
fn a_checkpoint_from_before_the_first_gtid_proves_nothing_elsewhere() {
    let place = format!("1/binlog.000007/500/{CREATED}/mysql=");
    let last = at(&format!("mysql/{OURS}"), place);
    let reason = broken(&last, &another_server(&format!("{OTHER}:1-5"), ""));
    assert!(reason.contains("from before the first GTID"), "{reason}");
    assert_eq!(judge(&last, &mysql()), Continuity::Intact);
}

#[test]
fn renamed_logs_continue_when_gtids_prove_it() {
    let logs = logs(&[("shop-bin.000001", 900)]);
    let renamed = ServerFacts { logs, created: None, ..mysql() };
    assert_eq!(
        renumbered(&point(), &renamed),
        "the binary logs are called shop-bin.000001 where the checkpoint is in binlog.000007"
    );
    assert!(broken(&point_without_gtids(), &renamed).contains("no GTIDs"));
}

#[test]
fn another_mariadb_that_replicated_all_of_it_continues_under_new_numbers() {
    let promoted = mariadb(2, "0-1-55,0-2-60", "0-1-50");
    assert!(renumbered(&maria_point(), &promoted).contains("mariadb/0-2 where"));
}

#[test]
fn on_another_node_of_a_galera_cluster_a_gtid_proves_nothing() {
    let alone = |server: ServerFacts| match server.history {
        History::MariaDb { state, purged, .. } => {
            let history = History::MariaDb { state, purged, counts_alone: true };
            ServerFacts { history, ..server }
        }
        History::MySql { .. } => panic!("MariaDB"),
    };
    let promoted = alone(mariadb(2, "0-1-55,0-2-60", "0-1-50"));
    assert!(broken(&maria_point(), &promoted).contains("Galera"));
    assert_eq!(judge(&maria_point(), &alone(mariadb(1, "0-1-80", ""))), Continuity::Intact);
}

#[test]
fn another_mariadb_whose_numbers_are_only_higher_proves_nothing() {
    let reason = broken(&maria_point(), &mariadb(2, "0-2-9000", ""));
    assert!(reason.ends_with("has never had 0-1-50, which the checkpoint has"), "{reason}");
}

#[test]
fn another_mariadb_that_purged_what_was_not_read_breaks_the_log() {
    for purged in ["0-1-51", "0-1-40,7-2-1"] {
        let reason = broken(&maria_point(), &mariadb(2, "0-1-55,7-2-4,0-2-60", purged));
        assert!(reason.contains("has purged"), "{reason}");
    }
}

#[test]
fn another_product_behind_the_same_address_breaks_the_log() {
    assert_eq!(
        broken(&point(), &mariadb(1, "0-1-80", "")),
        "a MariaDB server answers where the checkpoint is of MySQL"
    );
}

#[test]
fn a_server_without_binary_logs_breaks_the_log() {
    let off = ServerFacts { logs: Vec::new(), created: None, ..mysql() };
    assert!(broken(&point(), &off).contains("log_bin is off"));
}

#[test]
fn a_checkpoint_of_another_connector_breaks_the_log() {
    let other = at("7/1/slot", "0/10".to_owned());
    assert_eq!(broken(&other, &mysql()), "the checkpoint is of another kind of database");
    let mixed = at(&format!("mysql/{OURS}"), "0/10".to_owned());
    assert_eq!(broken(&mixed, &mysql()), "0/10 is not a place in a binlog");
}

#[test]
fn a_long_set_is_shortened_in_the_reason() {
    let many: Vec<String> = (1..500).map(|number| (number * 2).to_string()).collect();
    let place = format!("1/binlog.000007/500/{CREATED}/mysql={OURS}:{}", many.join(":"));
    let reason = broken(&at(&format!("mysql/{OURS}"), place), &another_server("", ""));
    assert!(reason.len() < 500 && reason.contains("..., which the checkpoint has"), "{reason}");
}

#[test]
fn an_identity_survives_its_printed_form() {
    for text in [&format!("mysql/{OURS}"), "mariadb/0-1", "mariadb/4294967295-7"] {
        let identity = LogIdentity::from_lineage(&Lineage::new(text)).unwrap();
        assert_eq!(identity.to_lineage().as_str(), text);
    }
    for text in ["", "mysql", "mysql/1", "mariadb/1", "mariadb/1-2-3", "7/1/slot", "oracle/1-2"] {
        assert_eq!(LogIdentity::from_lineage(&Lineage::new(text)), None, "{text}");
    }
}

#[test]
fn a_gtid_mode_is_read_as_the_server_prints_it() {
    for mode in ["OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"] {
        assert_eq!(mode.parse::<GtidMode>().unwrap().to_string(), mode);
    }
    assert!("MAYBE".parse::<GtidMode>().is_err());
}

#[test]
fn a_file_that_is_listed_and_gone_breaks_the_log_from_there_on() {
    for (files, gone) in [([0, 900, 200], false), ([900, 0, 200], true), ([900, 900, 0], true)] {
        let names = ["binlog.000006", "binlog.000007", "binlog.000008"];
        let logs = logs(&std::array::from_fn::<_, 3, _>(|nth| (names[nth], files[nth])));
        let created = Some(CREATED).filter(|_| files[1] > 0);
        let server = ServerFacts { logs, created, ..mysql() };
        match gone {
            true => assert!(broken(&point(), &server).ends_with("is not there any more")),
            false => assert_eq!(judge(&point(), &server), Continuity::Intact),
        }
    }
}

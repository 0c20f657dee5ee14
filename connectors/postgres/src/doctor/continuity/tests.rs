#![allow(clippy::unwrap_used)]

use connector_api::{Capture, CaptureTable, Columns, Position, TableName};

use super::super::facts::{PublicationFacts, PublishedTable, System};
use super::*;
use crate::config::Slot;

fn config() -> PostgresConfig {
    let slot = Slot::Named("acme".to_owned());
    PostgresConfig::parse("postgresql://tailstock@db/shop", "tailstock", slot).unwrap()
}

fn slot() -> SlotFacts {
    SlotFacts {
        plugin: Some("pgoutput".into()),
        database: Some("shop".into()),
        confirmed: Some(Lsn(0x10)),
        wal_status: Some("reserved".into()),
        ..SlotFacts::default()
    }
}

fn table(name: &str, revision: &str) -> PublishedTable {
    PublishedTable {
        name: TableName::new("public", name),
        root: None,
        revision: revision.to_owned(),
        columns: vec!["id".into(), "qty".into()],
        listed: false,
        filter: None,
        filter_columns: Vec::new(),
    }
}

fn publication() -> PublicationFacts {
    PublicationFacts {
        revision: "5.1".into(),
        operations: [true; 4],
        via_root: false,
        generated: false,
        tables: vec![table("stock", "8 9.1")],
    }
}

fn facts() -> Facts {
    Facts {
        server: Server { head: Lsn(0x100), ..Server::default() },
        system: Some(System { id: "7".into(), timeline: 1, forks: Vec::new() }),
        slot: Some(slot()),
        former: None,
        publication: Some(publication()),
        tables: Vec::new(),
    }
}

fn capture(name: &str) -> Capture {
    let name = TableName::new("public", name);
    Capture { tables: vec![CaptureTable { name, columns: Columns::All }] }
}

fn point(position: &str) -> ResumePoint {
    let identity = LogIdentity { system_id: "7".to_owned(), timeline: 1, slot: "acme".to_owned() };
    let capture = capture("stock");
    ResumePoint {
        lineage: identity.to_lineage(),
        position: Position::new(position),
        partial: None,
        coverage: coverage(&facts(), "tailstock", &capture),
        layouts: Vec::new(),
        capture,
    }
}

fn judge(facts: &Facts, last: Option<&ResumePoint>) -> Continuity {
    continuity(facts, &config(), "acme", last).unwrap()
}

/// Why it is broken, and from where on the log is whole.
fn broken(facts: &Facts, last: &ResumePoint) -> (String, Option<String>) {
    match judge(facts, Some(last)) {
        Continuity::Broken { reason, from } => (reason, from.map(|from| from.to_string())),
        other => panic!("{other:?}"),
    }
}

fn with_slot(slot: SlotFacts) -> Facts {
    Facts { slot: Some(slot), ..facts() }
}

#[test]
fn without_a_checkpoint_an_existing_slot_is_adopted_where_it_stands() {
    assert_eq!(judge(&facts(), None), Continuity::Adopted(Position::new("0/10")));
    assert_eq!(judge(&Facts { slot: None, ..facts() }, None), Continuity::New);
}

#[test]
fn without_a_checkpoint_a_slot_of_no_use_is_not_adopted() {
    let lost = with_slot(SlotFacts { wal_status: Some("lost".into()), ..slot() });
    assert_eq!(
        judge(&lost, None),
        Continuity::Broken {
            reason: "slot acme is of no use any more: the server has removed log it needed".into(),
            from: None
        }
    );
}

#[test]
fn a_slot_at_or_behind_the_checkpoint_is_intact() {
    for position in ["0/10", "0/11", "0/100"] {
        assert_eq!(judge(&facts(), Some(&point(position))), Continuity::Intact, "{position}");
    }
}

#[test]
fn an_open_transaction_makes_no_difference() {
    let partial = Some(connector_api::Partial { txid: "9".into(), rows: 3 });
    let last = ResumePoint { partial, ..point("0/10") };
    assert_eq!(judge(&facts(), Some(&last)), Continuity::Intact);
}

#[test]
fn a_slot_that_was_moved_or_made_again_ahead_of_the_checkpoint_is_a_gap() {
    assert_eq!(
        broken(&facts(), &point("0/F")),
        (
            "slot acme is at 0/10, ahead of the checkpoint at 0/F".to_owned(),
            Some("0/10".to_owned())
        )
    );
}

#[test]
fn a_slot_that_is_gone_or_of_no_use_is_a_gap_without_a_place_to_go_on() {
    let gone = Facts { slot: None, ..facts() };
    assert_eq!(broken(&gone, &point("0/10")), ("slot acme is gone".to_owned(), None));
    let cases = [
        (
            SlotFacts { wal_status: Some("lost".into()), ..slot() },
            "of no use any more: the server has removed log it needed",
        ),
        (
            SlotFacts { invalidated: Some("idle_timeout".into()), ..slot() },
            "of no use any more: the server has invalidated it (idle_timeout)",
        ),
        (SlotFacts { plugin: Some("wal2json".into()), ..slot() }, "made for something else"),
        (SlotFacts { plugin: None, database: None, ..slot() }, "made for something else"),
        (SlotFacts { database: Some("other".into()), ..slot() }, "made for something else"),
        (SlotFacts { temporary: true, ..slot() }, "made for something else"),
        (SlotFacts { confirmed: None, ..slot() }, "has no position"),
    ];
    for (slot, words) in cases {
        let (reason, from) = broken(&with_slot(slot), &point("0/10"));
        assert!(reason.contains(words), "wanted {words:?}: {reason}");
        assert_eq!(from, None, "{reason}");
    }
}

#[test]
fn log_that_is_about_to_go_is_still_there() {
    for status in ["extended", "unreserved"] {
        let slot = SlotFacts { wal_status: Some(status.into()), ..slot() };
        assert_eq!(judge(&with_slot(slot), Some(&point("0/10"))), Continuity::Intact);
    }
}

#[test]
fn another_server_is_a_gap_whatever_its_positions_say() {
    let mut other = facts();
    other.system = Some(System { id: "8".into(), ..System::default() });
    assert_eq!(
        broken(&other, &point("0/10")),
        (
            "another server answers: system 8 where the checkpoint is of 7".to_owned(),
            Some("0/10".to_owned())
        )
    );
    let unknown = Facts { system: None, ..facts() };
    assert!(broken(&unknown, &point("0/10")).0.contains("cannot be identified"));
}

#[test]
fn a_checkpoint_ahead_of_the_servers_log_is_of_a_restored_backup() {
    let (reason, from) = broken(&facts(), &point("0/101"));
    assert_eq!(
        reason,
        "the server's log ends at 0/100, before the checkpoint at 0/101: it was restored"
    );
    assert_eq!(from.as_deref(), Some("0/10"));
}

#[test]
fn a_standby_that_has_not_replayed_up_to_the_checkpoint_proves_nothing_either_way() {
    let mut standby = facts();
    standby.server.in_recovery = true;
    assert_eq!(judge(&standby, Some(&point("0/100"))), Continuity::Intact);
    let error = continuity(&standby, &config(), "acme", Some(&point("0/101"))).unwrap_err();
    assert_eq!(*error.fault(), connector_api::Fault::Transient);
    assert_eq!(
        error.to_string(),
        "the standby has replayed its log up to 0/100, and not up to the checkpoint at 0/101 yet"
    );
    // What has been proved is said all the same.
    let gone = Facts { slot: None, ..standby };
    assert_eq!(broken(&gone, &point("0/101")).0, "slot acme is gone");
}

#[test]
fn another_slot_than_the_checkpoints_is_a_gap() {
    let judged = continuity(&facts(), &config(), "other", Some(&point("0/10"))).unwrap();
    let Continuity::Broken { reason, .. } = judged else { panic!("{judged:?}") };
    assert_eq!(reason, "the checkpoint belongs to slot acme");
}

#[test]
fn a_checkpoint_of_another_database_is_a_gap() {
    let lineage = connector_api::Lineage::new("uuid");
    let foreign = ResumePoint { lineage, ..point("0/10") };
    assert!(broken(&facts(), &foreign).0.contains("another kind of database"));
    let foreign = ResumePoint { position: Position::new("bin.1:4"), ..point("0/10") };
    assert_eq!(broken(&facts(), &foreign).0, "bin.1:4 is not a PostgreSQL log position");
}

#[test]
fn whatever_changes_in_what_is_published_of_captured_tables_is_a_gap() {
    let change = |change: &dyn Fn(&mut PublicationFacts)| {
        let mut publication = publication();
        change(&mut publication);
        let facts = Facts { publication: Some(publication), ..facts() };
        broken(&facts, &point("0/10")).0
    };
    let changes: [&dyn Fn(&mut PublicationFacts); 7] = [
        &|publication| publication.operations[2] = false,
        &|publication| publication.via_root = true,
        &|publication| publication.revision = "6.2".into(),
        &|publication| publication.tables.clear(),
        &|publication| publication.tables[0].filter = Some("(qty > 0)".into()),
        &|publication| publication.tables[0].listed = true,
        &|publication| publication.tables[0].revision = "8 12.4".into(),
    ];
    for made in changes {
        let reason = change(made);
        assert!(reason.starts_with("the publication has changed while away: it "), "{reason}");
    }
    let dropped = Facts { publication: None, ..facts() };
    assert!(broken(&dropped, &point("0/10")).0.contains("does not cover publication tailstock"));
}

#[test]
fn where_only_what_is_published_has_changed_nothing_before_the_checkpoint_comes_again() {
    let mut changed = facts();
    changed.publication = Some(PublicationFacts { via_root: true, ..publication() });
    let (_, from) = broken(&changed, &point("0/80"));
    assert_eq!(from.as_deref(), Some("0/80"), "the slot is at 0/10");
    // So also on another timeline, up to the fork.
    let forks = vec![(1, Lsn(0x80))];
    changed.system = Some(System { id: "7".into(), timeline: 2, forks });
    let (reason, from) = broken(&changed, &point("0/80"));
    assert!(reason.contains("publication has changed"), "{reason}");
    assert_eq!(from.as_deref(), Some("0/80"));
}

#[test]
fn what_changes_beside_the_captured_tables_is_no_gap() {
    let mut more = facts();
    let tables = vec![table("orders", "10 1.1"), table("stock", "8 9.1")];
    more.publication = Some(PublicationFacts { tables, ..publication() });
    assert_eq!(judge(&more, Some(&point("0/10"))), Continuity::Intact);
}

#[test]
fn a_table_that_came_to_be_captured_since_is_no_gap() {
    let mut more = facts();
    let tables = vec![table("orders", "10 1.1"), table("stock", "8 9.1")];
    more.publication = Some(PublicationFacts { tables, ..publication() });
    // The checkpoint's own capture decides, not the one that is to come.
    let last = ResumePoint { capture: capture("*"), ..point("0/10") };
    assert_eq!(judge(&more, Some(&last)), Continuity::Intact);
}

#[test]
fn a_promotion_is_provable_only_up_to_the_fork() {
    let promoted = |forks: &[(u32, Lsn)]| {
        let system = System { id: "7".into(), timeline: 3, forks: forks.to_vec() };
        Facts { system: Some(system), ..facts() }
    };
    let forks = [(1, Lsn(0x30)), (2, Lsn(0x40))];
    let at_fork = judge(&promoted(&forks), Some(&point("0/30")));
    let reason = "the server went from timeline 1 to 3 at 0/30".to_owned();
    assert_eq!(at_fork, Continuity::Renumbered { reason, position: Position::new("0/30") });
    let left = "timeline 1 was left at 0/30, before the checkpoint at 0/31".to_owned();
    // What was read up to there does not come again.
    assert_eq!(broken(&promoted(&forks), &point("0/31")), (left.clone(), Some("0/30".to_owned())));
    let moved = SlotFacts { confirmed: Some(Lsn(0x31)), ..slot() };
    let moved = Facts { slot: Some(moved), ..promoted(&forks) };
    assert_eq!(broken(&moved, &point("0/31")), (left, Some("0/31".to_owned())));
    assert_eq!(
        broken(&promoted(&forks[1..]), &point("0/10")).0,
        "timeline 3 does not descend from timeline 1"
    );
}

#[test]
fn a_promoted_server_whose_slot_did_not_follow_is_a_gap() {
    let system = System { id: "7".into(), timeline: 2, forks: vec![(1, Lsn(0x30))] };
    let promoted = Facts { system: Some(system), slot: None, ..facts() };
    assert_eq!(broken(&promoted, &point("0/10")).0, "slot acme is gone");
}

use std::fmt::Write as _;

use super::*;

/// All that is wrong, as it is told.
fn told(facts: &Facts, capture: &Capture) -> String {
    let mut text = String::new();
    for Finding { severity, check, found, wanted, fix } in findings(facts, &config(), capture) {
        write!(
            text,
            "{severity:?}: {check}\n  found:  {found}\n  wanted: {wanted}\n  fix:    {fix}\n\n"
        )
        .unwrap();
    }
    text
}

fn everything_wrong(mut facts: Facts) -> Facts {
    facts.log = Log {
        is_on: true,
        format: "MIXED".into(),
        row_image: "MINIMAL".into(),
        row_metadata: "MINIMAL".into(),
        partial_json: true,
        checksum: "NONE".into(),
        retention: Retention::Seconds(3600),
        do_db: vec!["crm".into()],
        gtid_mode: "OFF".into(),
        ..Log::default()
    };
    facts.account.grants = Grants::default();
    facts.replication = Replication {
        is_replica: Some(true),
        filters: ["replicate_do_db = crm".to_owned()].into(),
        replicas: vec![Replica { server_id: 77, address: String::new() }],
        ..Replication::default()
    };
    let mut keyless = table("ledger");
    keyless.engine = "MyISAM".into();
    keyless.description.primary_key.clear();
    let mut view = table("goods");
    view.kind = "VIEW".into();
    facts.tables[0].unreadable = vec!["quantity".into()];
    facts.tables.extend([keyless, view]);
    facts
}

#[test]
fn a_server_where_everything_is_wrong_is_told_it_at_once_on_every_host() {
    let names = ["stock", "ledger", "goods", "gone"];
    let tables = names.map(|name| table_of(name, &["id", "quantity", "attributes", "prize"]));
    let capture = Capture { tables: tables.to_vec() };
    insta::assert_snapshot!("mysql", told(&everything_wrong(healthy()), &capture));
    insta::assert_snapshot!("mariadb", told(&everything_wrong(mariadb()), &capture));
    for host in [HostKind::Rds, HostKind::CloudSql, HostKind::Azure] {
        let mut facts = everything_wrong(healthy());
        facts.server.host = host;
        insta::assert_snapshot!(format!("{host:?}").to_lowercase(), told(&facts, &capture));
    }
}

use connector_api::Severity;
use testbed::MysqlVersion;

use super::{as_user, capture, controlled, findings, grant_all, mend, sql, start};
use testbed::all_mysql_versions;

/// Something wrong with a server or a table that is all right otherwise.
struct Mistake {
    /// How it is made.
    sql: &'static str,
    severity: Severity,
    check: &'static str,
    found: &'static str,
    /// The families that have it.
    on: On,
}

#[derive(PartialEq, Eq)]
enum On {
    Both,
    MySql,
    MariaDb,
}

const fn both(
    sql: &'static str,
    severity: Severity,
    check: &'static str,
    found: &'static str,
) -> Mistake {
    Mistake { sql, severity, check, found, on: On::Both }
}

impl Mistake {
    const fn on(self, on: On) -> Self {
        Self { on, ..self }
    }

    fn is_possible(&self, version: MysqlVersion) -> bool {
        match self.on {
            On::Both => true,
            On::MySql => !version.is_mariadb(),
            On::MariaDb => version.is_mariadb(),
        }
    }
}

const STOCK: &str = "table shop.stock";

const MISTAKES: [Mistake; 15] = [
    both("set global binlog_format = statement", Severity::Blocker, "binlog_format", "STATEMENT"),
    both("set global binlog_format = mixed", Severity::Warning, "binlog_format", "MIXED"),
    both(
        "set global binlog_row_image = minimal",
        Severity::Warning,
        "binlog_row_image",
        "MINIMAL: an update of shop.stock",
    ),
    both(
        "set global binlog_row_image = noblob",
        Severity::Warning,
        "binlog_row_image",
        "NOBLOB: an update of shop.stock",
    ),
    both("set global binlog_checksum = none", Severity::Note, "binlog_checksum", "NONE"),
    both("alter table stock engine = MyISAM", Severity::Warning, STOCK, "its engine MyISAM"),
    both("alter table stock engine = Aria", Severity::Warning, STOCK, "its engine Aria")
        .on(On::MariaDb),
    both("alter table stock drop primary key", Severity::Warning, STOCK, "has no primary key"),
    both(
        "revoke replication slave on *.* from tail@'%'",
        Severity::Blocker,
        "grant REPLICATION SLAVE",
        "'tail'@'%' may not read the log",
    ),
    both(
        "revoke replication client on *.* from tail@'%'",
        Severity::Blocker,
        "grant REPLICATION CLIENT",
        "'tail'@'%' may not ask",
    )
    .on(On::MySql),
    both(
        "revoke binlog monitor on *.* from tail@'%'",
        Severity::Blocker,
        "grant BINLOG MONITOR",
        "'tail'@'%' may not ask",
    )
    .on(On::MariaDb),
    both(
        "revoke select on shop.* from tail@'%'; grant select (id, qty) on stock to tail@'%'",
        Severity::Blocker,
        "grant SELECT",
        "'tail'@'%' may not read note of shop.stock",
    ),
    both(
        "revoke select on stock from tail@'%'; grant select (id, qty, note) on stock to tail@'%'",
        Severity::Blocker,
        "grant SELECT",
        "'tail'@'%' sees only some columns of shop.stock",
    ),
    both(
        "set global binlog_expire_logs_seconds = 3600",
        Severity::Warning,
        "binlog_expire_logs_seconds",
        "1.0 hours",
    )
    .on(On::MySql),
    both(
        "set global binlog_row_value_options = partial_json;
         alter table stock modify note json",
        Severity::Blocker,
        "binlog_row_value_options",
        "PARTIAL_JSON: an update of shop.stock",
    )
    .on(On::MySql),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_told_and_the_remedy_mends_it() {
    let wanted = capture("shop", &[("stock", &["id", "qty", "note"])]);
    for version in all_mysql_versions() {
        let Some(server) = start(version, &controlled(), "mistakes") else { continue };
        grant_all(&server);
        let tail = as_user(&server, "tail");
        let usual = findings(&tail, &wanted).await;
        for mistake in MISTAKES.iter().filter(|mistake| mistake.is_possible(version)) {
            let what = mistake.sql;
            server.execute(what).unwrap_or_else(|error| panic!("{version}: {what}: {error}"));
            let mut found = findings(&tail, &wanted).await;
            found.retain(|finding| !usual.contains(finding));
            assert_eq!(found.len(), 1, "{version}: {what}: {found:#?}");
            let told = &found[0];
            assert_eq!((&*told.check, told.severity), (mistake.check, mistake.severity), "{what}");
            assert!(told.found.starts_with(mistake.found), "{what}: {told:#?}");
            assert!(!sql(&told.fix).is_empty(), "{what}: {told:#?}");
            if told.found.starts_with("has no primary key") {
                server.execute("alter table stock add primary key (id)").unwrap();
            } else {
                mend(&server, &found);
            }
            assert_eq!(findings(&tail, &wanted).await, usual, "{version}: after {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_at_all_is_told() {
    for version in all_mysql_versions() {
        let Some(server) = start(version, &controlled(), "views and cascades") else { continue };
        grant_all(&server);
        server
            .execute(
                "create view goods as select * from stock;
                 create table bin (id int primary key, stock_id int not null,
                     constraint of_stock foreign key (stock_id) references stock (id)
                         on delete cascade);
                 create table twin (a int not null, b int not null, unique key both_of (b, a))",
            )
            .unwrap();
        let tail = as_user(&server, "tail");
        let found = findings(&tail, &capture("shop", &[("goods", &["id"])])).await;
        assert!(found.iter().any(|f| f.found == "is not a table"), "{found:#?}");
        let found = findings(&tail, &capture("shop", &[("bin", &["id"])])).await;
        let cascade = found.iter().find(|finding| finding.check == "table shop.bin");
        let told = cascade.map(|finding| (finding.severity, finding.found.as_str()));
        // MySQL 9.6 and later log what foreign keys do.
        assert_eq!(told.is_some(), version.is_mariadb(), "{version}: {found:#?}");
        if let Some((severity, found)) = told {
            assert_eq!(severity, Severity::Warning);
            assert!(found.starts_with("its foreign key of_stock to shop.stock is ON DELETE"));
        }
        if version.is_mariadb() {
            server
                .execute("create table past (id int primary key) with system versioning")
                .unwrap();
            let past = capture("shop", &[("past", &["id"])]);
            let found = super::blockers(&tail, &past).await;
            assert!(found[0].found.starts_with("keeps its past"), "{found:#?}");
            mend(&server, &found);
            assert_eq!(super::blockers(&tail, &past).await, []);
        }
        let twin = super::facts(&tail, &capture("shop", &[("twin", &["a"])])).await.tables();
        assert_eq!(twin[0].primary_key, ["b", "a"], "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_role_has_what_the_role_has() {
    for version in all_mysql_versions() {
        let Some(server) = start(version, &controlled(), "roles") else { continue };
        let activate = match version.is_mariadb() {
            true => "set default role reader for tail@'%'",
            false => "set default role reader to tail@'%'",
        };
        server
            .execute(&format!(
                "create role reader; grant replication slave, {} on *.* to reader;
                 grant select on shop.* to reader; grant reader to tail@'%'; {activate}",
                super::monitor(&server)
            ))
            .unwrap();
        let wanted = capture("shop", &[("stock", &["id", "qty"])]);
        let found = super::blockers(&as_user(&server, "tail"), &wanted).await;
        assert_eq!(found, [], "{version}");
    }
}

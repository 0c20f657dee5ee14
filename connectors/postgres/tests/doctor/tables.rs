use connector_api::{Connector as _, Finding};
use connector_postgres::{PostgresConfig, PostgresConnector};
use testbed::PgVersion;

use super::{blockers, capture, mend, sql};
use crate::support::Shop;

/// Something wrong with a table or with what is published of it.
struct Mistake {
    since: PgVersion,
    /// How it is made, where a table `stock` with a publication of its own is.
    sql: &'static str,
    check: &'static str,
    found: &'static str,
    /// What the server refuses the shop because of it.
    refused: Option<&'static str>,
}

const ANEW: &str = "
    drop publication if exists tailstock;
    drop table if exists stock, ledger cascade;
    create table stock (id int primary key, qty int, note text);
    create publication tailstock for table stock";

const STOCK: &str = "table public.stock";
const PUBLICATION: &str = "publication tailstock";
const UPDATE: &str = "update stock set note = 'b'";

/// A mistake that every version lets happen.
const fn always(sql: &'static str, check: &'static str, found: &'static str) -> Mistake {
    Mistake { since: PgVersion::V13, sql, check, found, refused: None }
}

impl Mistake {
    const fn since(self, since: PgVersion) -> Self {
        Self { since, ..self }
    }

    const fn refuses(self, statement: &'static str) -> Self {
        Self { refused: Some(statement), ..self }
    }
}

const MISTAKES: [Mistake; 15] = [
    always("drop publication tailstock", PUBLICATION, "does not exist"),
    always(
        "alter publication tailstock set (publish = 'insert')",
        PUBLICATION,
        "does not publish update, delete, truncate",
    ),
    always("alter publication tailstock drop table stock", STOCK, "is not in publication"),
    always(
        "drop publication tailstock; create publication tailstock for all tables;
         alter table stock set unlogged",
        STOCK,
        "is unlogged",
    ),
    always("alter table stock drop constraint stock_pkey", STOCK, "has no primary key")
        .refuses(UPDATE),
    always("alter table stock replica identity nothing", STOCK, "has replica identity NOTHING")
        .refuses(UPDATE),
    always(
        "alter table stock alter qty set not null; create unique index by_qty on stock (qty);
         alter table stock replica identity using index by_qty; drop index by_qty",
        STOCK,
        "has lost the index",
    )
    .refuses(UPDATE),
    always(
        "alter table stock drop constraint stock_pkey;
         alter table stock add primary key (id) deferrable",
        STOCK,
        "has a deferrable primary key",
    )
    .refuses(UPDATE),
    always(
        "drop publication tailstock; create publication tailstock for table stock (id)",
        "columns qty of public.stock",
        "left out of publication",
    )
    .since(PgVersion::V15),
    always(
        "drop publication tailstock; create publication tailstock for table stock (qty)",
        STOCK,
        "its column list does not cover the replica identity",
    )
    .since(PgVersion::V15)
    .refuses(UPDATE),
    always(
        "alter table stock replica identity full; drop publication tailstock;
         create publication tailstock for table stock (id, qty)",
        STOCK,
        "its column list does not cover the replica identity",
    )
    .since(PgVersion::V15)
    .refuses(UPDATE),
    always(
        "drop publication tailstock; create publication tailstock for table stock where (qty > 0)",
        STOCK,
        "its row filter uses qty, outside of the replica identity",
    )
    .since(PgVersion::V15)
    .refuses(UPDATE),
    always(
        "alter table stock add twice int generated always as (qty * 2) stored;
         alter table stock replica identity full",
        STOCK,
        "has generated columns that are not published",
    )
    .since(PgVersion::V18)
    .refuses(UPDATE),
    always(
        "alter table stock add twice int generated always as (qty * 2) virtual;
         alter table stock replica identity full",
        STOCK,
        "has virtual generated columns and REPLICA IDENTITY FULL",
    )
    .since(PgVersion::V18)
    .refuses(UPDATE),
    always(
        "drop publication tailstock; drop table stock;
         create table stock (id int primary key, qty int, note text) partition by range (id);
         create table low partition of stock for values from (0) to (10);
         create publication tailstock for table stock",
        STOCK,
        "its changes come as those of its partitions",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_told_the_server_bears_it_out_and_the_remedy_mends_it() {
    let wanted = capture(&[("stock", &["id", "qty"])]);
    for shop in Shop::of_each_version("mistakes") {
        let version = shop.server.version();
        for mistake in MISTAKES.iter().filter(|mistake| mistake.since <= version) {
            let what = mistake.sql;
            shop.sql(ANEW);
            assert_eq!(blockers(&shop.config(), &wanted).await, [], "before {what}");
            shop.sql(what);
            let found = blockers(&shop.config(), &wanted).await;
            let told = found.iter().any(|finding| {
                finding.check == mistake.check && finding.found.starts_with(mistake.found)
            });
            assert!(told, "{version}: {what}: {found:#?}");
            let claims = found.iter().any(|finding| finding.found.contains("UPDATE"));
            assert_eq!(claims, mistake.refused.is_some(), "{what}: {found:#?}");
            if let Some(refused) = mistake.refused {
                shop.server.execute(refused).expect_err(what);
            }
            assert!(found.iter().any(|finding| !sql(&finding.fix).is_empty()), "{found:#?}");
            mend(&shop.server, &found);
            assert_eq!(blockers(&shop.config(), &wanted).await, [], "after {what}");
            mistake.refused.into_iter().for_each(|statement| shop.sql(statement));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_at_all_is_told() {
    for shop in Shop::of_each_version("views and partitions") {
        shop.sql(
            "create view goods as select * from stock;
             create table ledger (id int primary key) partition by range (id);
             create table low partition of ledger for values from (0) to (10);
             alter publication tailstock set (publish_via_partition_root = true)",
        );
        for (table, told) in [
            ("goods", "is not a table"),
            ("low", "its changes come as those of public.ledger"),
            ("nowhere", "does not exist"),
        ] {
            let found = blockers(&shop.config(), &capture(&[(table, &["id"])])).await;
            assert_eq!(found.len(), 1, "{found:#?}");
            assert_eq!(found[0].check, format!("table public.{table}"));
            assert!(found[0].found.starts_with(told), "{:?}", found[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_identifies_rows_by_itself_must_be_able_to() {
    for shop in Shop::of_each_version("a partition's identity") {
        shop.sql(
            "alter publication tailstock set (publish_via_partition_root = true);
             create table ledger (id int primary key, qty int) partition by range (id);
             create table low partition of ledger for values from (0) to (10);
             alter table low replica identity nothing; insert into ledger values (1)",
        );
        let wanted = capture(&[("ledger", &["id"])]);
        let found = blockers(&shop.config(), &wanted).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].check, "table public.low");
        shop.server.execute("update ledger set qty = 2").unwrap_err();
        mend(&shop.server, &found);
        assert_eq!(blockers(&shop.config(), &wanted).await, []);
        shop.sql("update ledger set qty = 2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_column_is_captured_where_the_log_has_it() {
    for shop in Shop::of_each_version("a captured generated column") {
        shop.sql("alter table stock add twice int generated always as (qty * 2) stored");
        let wanted = capture(&[("stock", &["id", "twice"])]);
        let found = blockers(&shop.config(), &wanted).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].check, "columns twice of public.stock");
        assert_eq!(found[0].found, "generated, and not in the log");
        if shop.server.version() >= PgVersion::V18 {
            mend(&shop.server, &found);
            assert_eq!(blockers(&shop.config(), &wanted).await, []);
        }
    }
}

/// What is said of reading `stock` as it is.
async fn of_snapshots(config: &PostgresConfig) -> Vec<Finding> {
    let connector = PostgresConnector::new(config.clone());
    let survey = connector.survey(&capture(&[("stock", &["qty"])]), None).await.unwrap();
    let said = survey.findings.into_iter();
    said.filter(|finding| finding.check == "snapshot of public.stock").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_as_it_is_is_told_with_a_remedy_that_helps() {
    for shop in Shop::of_each_version("rights to read a table") {
        shop.sql(
            "create role \"Reader\" login replication; revoke all on schema public from public",
        );
        let config = PostgresConfig { user: "Reader".to_owned(), ..shop.config() };
        let found = of_snapshots(&config).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].found, "cannot be taken: \"Reader\" may not read id, qty");
        mend(&shop.server, &found);
        assert_eq!(of_snapshots(&config).await, []);
        shop.sql("alter table stock enable row level security");
        let found = of_snapshots(&config).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        mend(&shop.server, &found);
        assert_eq!(of_snapshots(&config).await, []);
        shop.sql(
            "alter table stock replica identity full; alter table stock drop constraint stock_pkey",
        );
        let found = of_snapshots(&config).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        shop.sql("alter table stock alter qty set not null; create unique index on stock (qty)");
        assert_eq!(of_snapshots(&config).await, []);
    }
}

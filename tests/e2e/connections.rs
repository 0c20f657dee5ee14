//! What it proves: whatever a source has to do, its server sees no more than three connections.

use std::net::TcpListener;
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const LIMIT: Duration = Duration::from_secs(90);
const MOST: u32 = 3;

/// Connections of ours, which have names of their own on PostgreSQL and an account on MariaDB.
async fn connections(shop: &Shop) -> u32 {
    let sql = match shop.is_mysql() {
        false => {
            "SELECT count(*)::text FROM pg_stat_activity WHERE application_name LIKE 'tailstock%'"
        }
        true => {
            "SELECT CAST(count(*) AS char) FROM information_schema.processlist
             WHERE user = 'tailstock'"
        }
    };
    shop.text(sql).await.parse().unwrap()
}

/// Counts until the snapshot, which goes on while it is looked how much log the server keeps and
/// while the table changes its columns, has ended.
async fn no_more_than_three(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let rows: Vec<String> = (0..3_000).map(|n| format!("({n}, {n})")).collect();
    shop.execute(&format!("INSERT INTO stock VALUES {}", rows.join(","))).await;
    let mut seller = shop.whole_seller(&format!("snapshot_rows_per_s = 400\n{SELLER}"));
    if shop.is_mysql() {
        shop.execute("CREATE USER tailstock@'%'").await;
        shop.execute("GRANT ALL ON *.* TO tailstock@'%'").await;
        seller = seller.replace("root@", "tailstock@");
    }
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = Workspace::MAIN.replace("listen = \"\"", &format!("listen = \"{address}\""));
    let workspace = Workspace::new(&main, &seller);
    let mut run = Tailstock::start(&workspace, &["run"]);
    let path = workspace.path("stock.db");
    let started = std::time::Instant::now();
    let (mut most, mut changes) = (0, 0);
    let mut look = tokio::time::interval(Duration::from_millis(10));
    while !Published::has_begun(&path, "levels", 3_000) {
        look.tick().await;
        assert!(started.elapsed() < LIMIT, "the table is not read: {}", run.log());
        let now = connections(&shop).await;
        assert!(now <= MOST, "{now} connections: {}", run.log());
        most = most.max(now);
        changes += 1;
        if changes % 100 == 0 {
            shop.execute(&format!("ALTER TABLE stock ADD more_{changes} int")).await;
            shop.execute(&format!("UPDATE stock SET qty = {changes} WHERE item = 1")).await;
        }
    }
    assert!(most >= 2, "the stream and the snapshot have one each");
    assert!(started.elapsed() > Duration::from_secs(5), "too fast to be looked after meanwhile");
    run.signal(rustix::process::Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_postgresql_sees_no_more_than_three_connections() {
    no_more_than_three(PgVersion::V15.into(), "connections_to_postgresql").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_mariadb_sees_no_more_than_three_connections() {
    no_more_than_three(MysqlVersion::Mariadb1011.into(), "connections_to_mariadb").await;
}

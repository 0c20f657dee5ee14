//! What it proves: what is told of the reading of tables is what happened, once.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testbed::{MysqlVersion, PgVersion};

use super::{BY_ID, catch_up, held, published};
use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// The process that sends the shop's log, if it runs on this machine.
async fn sender(shop: &Shop) -> Option<Pid> {
    let id = eventually("somebody reads the log", LIMIT, async || {
        let sending = "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'";
        let found = shop.rows(sending).await;
        found.into_iter().next().and_then(|row| row.into_iter().next().flatten())
    })
    .await;
    let command_line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let process = Pid::from_raw(id.parse().unwrap());
    process.filter(|_| command_line.contains("walsender"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_whose_first_rows_are_read_again_is_said_to_begin_once() {
    let test = "a_snapshot_whose_first_rows_are_read_again_is_said_to_begin_once";
    let engine = Engine::from(PgVersion::V15).restarted();
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int").await;
    shop.execute("INSERT INTO stock VALUES (1, 'a', 1), (2, 'b', 2)").await;
    // A slot is not made while somebody holds a lock.
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(BY_ID));
    catch_up(&workspace).await;
    std::fs::write(workspace.path("sellers/shop.toml"), shop.whole_seller(BY_ID)).unwrap();
    // Rows are read only when nobody sends the log any more: so they have to wait.
    let writer = shop.connect().await;
    writer.execute("BEGIN; LOCK TABLE stock IN ACCESS EXCLUSIVE MODE").await;
    let running = Tailstock::start(&workspace, &["run"]);
    let Some(sender) = sender(&shop).await else {
        return println!("{test}: skipped: the server does not run on this machine");
    };
    kill_process(sender, Signal::STOP).unwrap();
    writer.execute("COMMIT").await;
    eventually("the rows are read", LIMIT, async || {
        let path = workspace.path("stock.db");
        let begun = "control WHERE kind = 'snapshot_started'";
        Published::has_begun(&path, begun, 1).then_some(())
    })
    .await;
    assert_eq!(published(&workspace).count("events"), 0, "they wait for the log");
    running.kill_after(Duration::ZERO).await;
    kill_process(sender, Signal::CONT).unwrap();
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.levels(), held(&shop, "id").await);
    let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
    assert_eq!(kinds, ["snapshot_started", "snapshot_completed"]);
}

#[tokio::test]
async fn a_ledger_that_cannot_be_relied_on_is_told_and_not_read() {
    let test = "a_ledger_that_cannot_be_relied_on_is_told_and_not_read";
    let ledger = "[[stock]]\ntable = \"public.moves\"\nkind = \"movement\"\nitem = \"id\"\n\
                  location = \"'ledger'\"\ndelta = \"qty\"\n";
    for engine in [Engine::from(PgVersion::V15), MysqlVersion::Mariadb1011.into()] {
        let Some(shop) = Shop::start(engine, test).await else { continue };
        shop.create("stock", "id bigint PRIMARY KEY, sku varchar(40) NOT NULL, qty int").await;
        shop.execute("CREATE TABLE moves (id bigint PRIMARY KEY, qty int)").await;
        if !shop.is_mysql() {
            shop.execute("ALTER PUBLICATION tailstock ADD TABLE moves").await;
        }
        let workspace =
            Workspace::new(Workspace::MAIN, &shop.whole_seller(&format!("{BY_ID}{ledger}")));
        catch_up(&workspace).await;
        shop.execute("INSERT INTO moves VALUES (1, 5)").await;
        shop.execute("TRUNCATE TABLE moves").await;
        shop.execute("INSERT INTO moves VALUES (2, 7)").await;
        catch_up(&workspace).await;
        let published = published(&workspace);
        let kinds = published.texts("SELECT kind FROM control ORDER BY seq");
        assert_eq!(kinds, ["snapshot_started", "snapshot_completed", "scope_cleared"]);
        assert_eq!(published.count("events WHERE kind = 'movement'"), 2);
        let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
        assert!(checkpoint.contains(r#""dirty_tables":{}"#), "{checkpoint}");
    }
}

//! What `tail` owes to whoever only wants to look.

use std::time::Duration;

use rustix::process::Signal;
use testbed::PgVersion;

use crate::support::{Shop, Tailstock, Workspace, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_signal_ends_it_while_its_slot_waits_for_a_transaction() {
    let Some(shop) = Shop::start(PgVersion::V15, "tail_waits").await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let open = shop.connect().await;
    open.execute("BEGIN; INSERT INTO stock VALUES (1, 1)").await;
    let workspace = Workspace::new("", "");
    let mut tail = Tailstock::start(&workspace, &["tail", "--url", &shop.url()]);
    eventually("its slot waits", Duration::from_secs(30), async || {
        let waits = "SELECT count(*)::text FROM pg_locks
                     WHERE locktype = 'transactionid' AND NOT granted";
        (shop.text(waits).await == "1").then_some(())
    })
    .await;
    tail.signal(Signal::TERM);
    let status = tail.wait(Duration::from_secs(10)).await;
    assert!(status.success(), "{status:?}\n{}", tail.log());
}

//! What it proves: exactly once under SIGKILL. Several sessions change a shop in transactions of
//! every kind while tailstock is killed at random moments; afterwards every key has exactly the
//! sequence of states its transactions left, none missing, none twice.

use std::time::Duration;

use testbed::PgVersion;

use super::sessions::{SELLER, Sessions, TABLE, levels};
use crate::support::{Published, Random, Shop, Tailstock, Workspace, is_full_size};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_published_exactly_once_although_tailstock_is_killed_again_and_again() {
    let test = "every_change_is_published_exactly_once";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.execute(TABLE).await;
    let (rows, kills) = if is_full_size() { (50_000, 40) } else { (20_000, 8) };
    let mut random = Random::from_environment(test);
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    Tailstock::start(&workspace, &["run", "--until-current"]).wait(Duration::from_secs(30)).await;

    let sessions = Sessions::start(&shop, rows, &mut random).await;
    for _ in 0..kills {
        let delay = Duration::from_millis(30 + random.below(900));
        Tailstock::start(&workspace, &["run"]).kill_after(delay).await;
    }
    let expected = sessions.join().await;
    let mut last = Tailstock::start(&workspace, &["run", "--until-current"]);
    assert!(last.wait(Duration::from_secs(120)).await.success(), "{}", last.log());

    let published = Published::open(&workspace.path("stock.db"));
    published.assert_exactly(&expected, &last.log());
    assert_eq!(published.levels(), levels(&shop).await, "folded levels equal what the shop says");
    assert_eq!(published.count("dlq"), 0);
}

//! What it proves: the same log gives the same bytes, however it is cut into batches.

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Published, Random, Shop, Tailstock, Workspace};

const SELLER: &str = r#"
[[stock]]
table = "public.stock"
item = "sku"
on_hand = "qty"
"#;

/// Every event's bytes by key, in the order of publication.
fn values(workspace: &Workspace) -> BTreeMap<String, Vec<String>> {
    let published = Published::open(&workspace.path("stock.db"));
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in published.events() {
        by_key.entry(event.key).or_default().push(event.value.to_string());
    }
    by_key
}

async fn run(workspace: &Workspace) {
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(60)).await.success(), "{}", run.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_same_log_is_byte_identical() {
    let test = "a_replay_of_the_same_log_is_byte_identical";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.execute(
        "CREATE TABLE stock (id serial PRIMARY KEY, sku text, qty numeric);
         CREATE PUBLICATION tailstock FOR TABLE stock;",
    )
    .await;
    shop.execute("SELECT pg_create_logical_replication_slot('first', 'pgoutput')").await;
    shop.execute("SELECT pg_copy_logical_replication_slot('first', 'second')").await;
    let mut random = Random::from_environment(test);
    for _ in 0..60 {
        let (sku, quantity) = (random.below(20), random.below(1000));
        let sql = match random.below(6) {
            0 => format!("DELETE FROM stock WHERE id % 20 = {sku}"),
            1 => format!("UPDATE stock SET sku = 'S{}' WHERE sku = 'S{sku}'", random.below(20)),
            2 => format!("UPDATE stock SET qty = qty + 0.5 WHERE sku > 'S{sku}'"),
            3 => format!(
                "INSERT INTO stock (sku, qty) SELECT 'L' || g, g FROM generate_series(1, 9000) g;
                 DELETE FROM stock WHERE sku LIKE 'L%' AND qty > {quantity}"
            ),
            _ => format!("INSERT INTO stock (sku, qty) VALUES ('S{sku}', {quantity}.250)"),
        };
        shop.execute(&sql).await;
    }
    let seller = |slot: &str| {
        let with_slot = format!("slot = \"{slot}\"\n[[stock]]");
        shop.seller(&SELLER.replace("[[stock]]", &with_slot))
    };
    let first = Workspace::new(Workspace::MAIN, &seller("first"));
    run(&first).await;
    let second = Workspace::new(Workspace::MAIN, &seller("second"));
    for _ in 0..4 {
        let delay = Duration::from_millis(40 + random.below(200));
        Tailstock::start(&second, &["run"]).kill_after(delay).await;
    }
    run(&second).await;
    let (first, second) = (values(&first), values(&second));
    assert!(first.len() > 100, "there is something to compare");
    assert_eq!(first.len(), second.len());
    for (key, values) in &first {
        let replayed = second.get(key).expect("the same keys");
        let first_other = values.iter().zip(replayed).find(|(one, other)| one != other);
        assert_eq!(first_other, None, "{key}");
        assert_eq!(values.len(), replayed.len(), "{key}");
    }
}

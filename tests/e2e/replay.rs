//! What it proves: the same log gives the same bytes, however it is cut into batches.

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Random, Shop, Tailstock, Workspace};

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

/// The changes of a day.
async fn change(shop: &Shop, random: &mut Random) {
    for step in 0..60 {
        let (sku, quantity) = (random.below(20), random.below(1000));
        // One large transaction at least.
        let kind = if step == 30 { 12 } else { random.below(24) };
        let sql = match kind {
            0..4 => format!("DELETE FROM stock WHERE id % 20 = {sku}"),
            4..8 => format!("UPDATE stock SET sku = 'S{}' WHERE sku = 'S{sku}'", random.below(20)),
            8..12 => format!("UPDATE stock SET qty = qty + 0.5 WHERE sku > 'S{sku}'"),
            12 => {
                let rows: Vec<String> = (1..=9000).map(|n| format!("('L{n}', {n})")).collect();
                format!(
                    "INSERT INTO stock (sku, qty) VALUES {};
                     DELETE FROM stock WHERE sku LIKE 'L%' AND qty > {quantity}",
                    rows.join(",")
                )
            }
            _ => format!("INSERT INTO stock (sku, qty) VALUES ('S{sku}', {quantity}.250)"),
        };
        shop.execute(&sql).await;
    }
}

async fn a_replay_is_byte_identical(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "id serial PRIMARY KEY, sku varchar(20), qty numeric(12, 3)").await;
    let [first, second] = [1, 2].map(|number| {
        let reader = match shop.is_mysql() {
            false => format!("slot = \"reader_{number}\""),
            true => format!("server_id = {number}"),
        };
        let stock = SELLER.replace("[[stock]]", &format!("{reader}\n[[stock]]"));
        Workspace::new(Workspace::MAIN, &shop.seller(&stock))
    });
    run(&first).await;
    run(&second).await;
    let mut random = Random::from_environment(test);
    change(&shop, &mut random).await;
    run(&first).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_same_log_is_byte_identical() {
    let test = "a_replay_of_the_same_log_is_byte_identical";
    a_replay_is_byte_identical(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_same_log_of_mysql_is_byte_identical() {
    let test = "a_replay_of_the_same_log_of_mysql_is_byte_identical";
    let engine =
        Engine::from(MysqlVersion::Mysql97).setting("binlog_transaction_compression", "ON");
    a_replay_is_byte_identical(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_the_same_log_of_mariadb_is_byte_identical() {
    let test = "a_replay_of_the_same_log_of_mariadb_is_byte_identical";
    let engine = Engine::from(MysqlVersion::Mariadb118).setting("log_bin_compress", "ON");
    a_replay_is_byte_identical(engine, test).await;
}

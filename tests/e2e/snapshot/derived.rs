//! What it proves: sums whose rows lie in many chunks, and lookups in a table that changes while it
//! is read itself, come out as the same query on the shop does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};
use tokio::task::JoinSet;

use super::{catch_up, published};
use crate::support::{Connection, Engine, Random, Shop, Tailstock, Workspace, is_full_size};

const SELLER: &str = r#"
[[stock]]
table = "public.stock"
where = "kind = 'sale'"
item = "product"
sku = "name"
sum = ["qty"]
on_hand = "qty"
[[stock.lookup]]
table = "public.product"
on = { id = "product" }
columns = { name = "name" }
"#;

const PRODUCTS: u64 = 4_000;

async fn write(connection: Connection, mut random: Random, rows: u64, stop: Arc<AtomicBool>) {
    let mut next = rows + random.below(1 << 20) * 1000;
    while !stop.load(Ordering::Relaxed) {
        let (id, product, quantity) =
            (random.below(rows), random.below(PRODUCTS), random.below(500));
        next += 1;
        let change = match random.below(10) {
            0 => format!("DELETE FROM stock WHERE id = {id}"),
            1 => format!("INSERT INTO stock VALUES ({next}, {product}, 'sale', {quantity})"),
            2 => format!("UPDATE stock SET product = {product} WHERE id = {id}"),
            3 => format!("UPDATE stock SET kind = 'lent' WHERE id = {id}"),
            4 => format!("UPDATE product SET name = 'N-{next}' WHERE id = {product}"),
            5 => format!("DELETE FROM product WHERE id = {product}"),
            _ => format!("UPDATE stock SET qty = {quantity} WHERE id = {id}"),
        };
        connection.execute(&change).await;
    }
}

async fn insert(shop: &Shop, table: &str, rows: u64, row: impl Fn(u64) -> String) {
    for first in (0..rows).step_by(5_000) {
        let values: Vec<String> = (first..rows.min(first + 5_000)).map(&row).collect();
        shop.execute(&format!("INSERT INTO {table} VALUES {}", values.join(","))).await;
    }
}

async fn sums_and_lookups_are_read_under_fire(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    let (rows, kills) = if is_full_size() { (200_000, 10) } else { (20_000, 2) };
    let columns = "id bigint PRIMARY KEY, product bigint NOT NULL, kind varchar(8) NOT NULL, \
                   qty int NOT NULL";
    shop.create("stock", columns).await;
    shop.execute("CREATE TABLE product (id bigint PRIMARY KEY, name varchar(40) NOT NULL)").await;
    if !shop.is_mysql() {
        shop.execute("ALTER PUBLICATION tailstock ADD TABLE product").await;
    }
    insert(&shop, "product", PRODUCTS, |n| format!("({n}, 'P-{n}')")).await;
    let kind = |n| if n % 10 == 0 { "lent" } else { "sale" };
    insert(&shop, "stock", rows, |n| format!("({n}, {}, '{}', {})", n % PRODUCTS, kind(n), n % 7))
        .await;
    let mut random = Random::from_environment(test);
    let slow = format!("snapshot_rows_per_s = {}\n{SELLER}", rows / 5);
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&slow));
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for _ in 0..2 {
        let random = Random::new(random.next());
        writers.spawn(write(shop.connect().await, random, rows, Arc::clone(&stop)));
    }
    for _ in 0..kills {
        let delay = Duration::from_millis(600 + random.below(900));
        Tailstock::start(&workspace, &["run"]).kill_after(delay).await;
    }
    std::fs::write(workspace.path("sellers/shop.toml"), shop.whole_seller(SELLER)).unwrap();
    Tailstock::start(&workspace, &["run"]).kill_after(Duration::from_secs(2)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    catch_up(&workspace).await;
    let wanted = shop
        .rows(
            "SELECT s.product, SUM(s.qty), MAX(p.name) FROM stock s
             LEFT JOIN product p ON p.id = s.product
             WHERE s.kind = 'sale' GROUP BY s.product",
        )
        .await;
    let wanted: BTreeMap<String, String> = wanted
        .into_iter()
        .map(|row| {
            let [product, sum, name] = row.try_into().unwrap();
            (product.unwrap(), format!("{} {}", sum.unwrap(), name.unwrap_or_default()))
        })
        .collect();
    let found = published(&workspace);
    let texts =
        found.texts("SELECT item || ' ' || on_hand || ' ' || coalesce(sku, '') FROM levels");
    let found: BTreeMap<String, String> = texts
        .iter()
        .map(|text| text.split_once(' ').unwrap())
        .map(|(item, rest)| (item.to_owned(), rest.to_owned()))
        .collect();
    let log = std::fs::read_to_string(workspace.path("log.txt")).unwrap();
    let keys: std::collections::BTreeSet<_> = found.keys().chain(wanted.keys()).collect();
    let differ: Vec<_> = keys
        .into_iter()
        .filter(|key| found.get(*key) != wanted.get(*key))
        .map(|key| (key, found.get(key), wanted.get(key)))
        .collect();
    let few = &differ[..differ.len().min(10)];
    assert!(differ.is_empty(), "{} differ: (item, published, held) {few:?}\n{log}", differ.len());
    published(&workspace).by_key();
    assert_eq!(published(&workspace).count("dlq"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_and_lookups_of_postgresql_are_read_under_fire() {
    let test = "sums_and_lookups_of_postgresql_are_read_under_fire";
    sums_and_lookups_are_read_under_fire(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_and_lookups_of_mysql_with_minimal_images_are_read_under_fire() {
    let test = "sums_and_lookups_of_mysql_with_minimal_images_are_read_under_fire";
    let engine = Engine::from(MysqlVersion::Mysql97).setting("binlog_row_image", "MINIMAL");
    sums_and_lookups_are_read_under_fire(engine, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_and_lookups_of_mariadb_are_read_under_fire() {
    let test = "sums_and_lookups_of_mariadb_are_read_under_fire";
    sums_and_lookups_are_read_under_fire(MysqlVersion::Mariadb1011.into(), test).await;
}

//! What it proves: one block about many tables means each of them, and the tables it looks up for
//! each; one that comes later is taken up at the next start, and what one held that goes, goes too.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace};

const STOCK: &str = r#"
[[stock]]
table = "public.wp_*_stock"
where = "shop = '{*}'"
item = "id"
location = "'site-{*}'"
sku = "code"
on_hand = "qty"
[[stock.lookup]]
table = "public.wp_*_product"
on = { id = "id" }
columns = { code = "code" }
"#;

/// The tables of another site, with two rows each.
async fn add(shop: &Shop, site: &str) {
    let tables = [
        (format!("wp_{site}_stock"), "id bigint PRIMARY KEY, shop varchar(9), qty int"),
        (format!("wp_{site}_product"), "id bigint PRIMARY KEY, code varchar(20)"),
    ];
    for (table, columns) in &tables {
        shop.execute(&format!("CREATE TABLE {table} ({columns})")).await;
        if !shop.is_mysql() {
            shop.execute(&format!("ALTER PUBLICATION tailstock ADD TABLE {table}")).await;
        }
    }
    let [stock, product] = tables.map(|(table, _)| table);
    shop.execute(&format!("INSERT INTO {product} VALUES (1, '{site}-1'), (2, '{site}-2')")).await;
    shop.execute(&format!(
        "INSERT INTO {stock} VALUES (1, '{site}', 10), (2, '{site}', 20), (3, 'other', 30)"
    ))
    .await;
}

async fn run(workspace: &Workspace, arguments: &[&str]) {
    let mut run = Tailstock::start(workspace, arguments);
    assert!(run.wait(Duration::from_secs(60)).await.success(), "{}", run.log());
}

async fn levels(workspace: &Workspace) -> Vec<String> {
    run(workspace, &["run", "--until-current"]).await;
    let published = Published::open(&workspace.path("stock.db"));
    published.by_key();
    published.texts("SELECT location || ' ' || sku || ' ' || on_hand FROM levels ORDER BY 1")
}

async fn one_block_means_each_of_many_tables(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    if !shop.is_mysql() {
        shop.execute("CREATE PUBLICATION tailstock").await;
    }
    add(&shop, "a").await;
    add(&shop, "b").await;
    shop.execute("CREATE TABLE wp_stock (id bigint PRIMARY KEY, shop varchar(9), qty int)").await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(STOCK));
    let read = ["site-a a-1 10", "site-a a-2 20", "site-b b-1 10", "site-b b-2 20"];
    assert_eq!(levels(&workspace).await, read);
    shop.execute("UPDATE wp_a_product SET code = 'A' WHERE id = 1").await;
    shop.execute("UPDATE wp_b_stock SET qty = 21 WHERE id = 2").await;
    let followed = ["site-a A 10", "site-a a-2 20", "site-b b-1 10", "site-b b-2 21"];
    assert_eq!(levels(&workspace).await, followed);
    let published = Published::open(&workspace.path("stock.db"));
    let completed = "control WHERE kind = 'snapshot_completed'";
    assert_eq!(published.count(completed), 4);
    // What was read before is not read again when another site comes.
    add(&shop, "c").await;
    let three = [&followed[..], &["site-c c-1 10", "site-c c-2 20"]].concat();
    assert_eq!(levels(&workspace).await, three);
    assert_eq!(published.count(completed), 6);
    assert_eq!(published.count("control WHERE kind = 'gap'"), 0);
    let mapping = published.texts("SELECT DISTINCT value ->> '$.origin.mapping' FROM current");
    assert_eq!(mapping.len(), 3, "a mapping for each: {mapping:?}");
    run(&workspace, &["snapshot", "acme"]).await;
    assert_eq!(levels(&workspace).await, three);
    assert_eq!(published.count(completed), 12);
    let schema = if shop.is_mysql() { "shop" } else { "public" };
    run(&workspace, &["snapshot", "acme", &format!("{schema}.wp_c_stock")]).await;
    assert_eq!(levels(&workspace).await, three);
    assert_eq!(published.count(completed), 13);
    shop.execute("DROP TABLE wp_a_stock").await;
    shop.execute("DROP TABLE wp_a_product").await;
    assert_eq!(levels(&workspace).await, three[2..]);
}

#[tokio::test]
async fn one_block_means_each_of_many_tables_of_postgresql() {
    let test = "one_block_means_each_of_many_tables_of_postgresql";
    one_block_means_each_of_many_tables(PgVersion::V15.into(), test).await;
}

#[tokio::test]
async fn one_block_means_each_of_many_tables_of_mariadb() {
    let test = "one_block_means_each_of_many_tables_of_mariadb";
    one_block_means_each_of_many_tables(MysqlVersion::Mariadb1011.into(), test).await;
}

#[tokio::test]
async fn one_block_means_a_table_of_each_of_many_databases() {
    let test = "one_block_means_a_table_of_each_of_many_databases";
    let Some(shop) = Shop::start(MysqlVersion::Mysql97, test).await else { return };
    for (database, quantity) in [("shop_eu", 1), ("shop_us", 2), ("shops", 3)] {
        shop.execute(&format!("CREATE DATABASE {database}")).await;
        let table = format!("{database}.ps_stock");
        shop.execute(&format!("CREATE TABLE {table} (id int PRIMARY KEY, qty int)")).await;
        shop.execute(&format!("INSERT INTO {table} VALUES (7, {quantity})")).await;
    }
    let stock = "[[stock]]\ntable = \"shop_*.ps_stock\"\nitem = \"'{*}-' || id\"\n\
                 sku = \"'{*}'\"\nlocation = \"'_'\"\non_hand = \"qty\"\n";
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(stock));
    assert_eq!(levels(&workspace).await, ["_ eu 1", "_ us 2"]);
    shop.execute("UPDATE shop_us.ps_stock SET qty = 5").await;
    shop.execute("UPDATE shops.ps_stock SET qty = 5").await;
    assert_eq!(levels(&workspace).await, ["_ eu 1", "_ us 5"]);
    let items =
        Published::open(&workspace.path("stock.db")).texts("SELECT item FROM levels ORDER BY item");
    assert_eq!(items, ["eu-7", "us-7"]);
}

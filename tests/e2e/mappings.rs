//! What it proves: whatever the mappings, the tables and the transactions are, what a consumer has
//! folded in the end is what the same mapping says as one query on the shop.

mod expression;
mod mapping;
mod trade;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Random, Shop, Tailstock, Workspace, is_full_size};
use mapping::Mapping;
use trade::Group;

/// On hand, available, SKU and whether it is active, by item and location.
type Levels = BTreeMap<(String, String), [Option<String>; 4]>;

/// Without the zeros that say nothing.
fn canonical(number: &str) -> String {
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    if number == "-0" { "0".to_owned() } else { number.to_owned() }
}

async fn wanted(shop: &Shop, mapping: &Mapping) -> Levels {
    let level = |row: Vec<Option<String>>| {
        let [item, location, on_hand, available, sku, active] = row.try_into().unwrap();
        let number = |number: Option<String>| number.map(|number| canonical(&number));
        let said = [number(on_hand), number(available), sku, active];
        ((item.unwrap(), location.unwrap()), said)
    };
    shop.rows(&mapping.query).await.into_iter().map(level).collect()
}

/// The levels of every mapping, by its name.
fn found(workspace: &Workspace) -> BTreeMap<String, Levels> {
    let published = Published::open(&workspace.path("stock.db"));
    published.by_key();
    let mut found: BTreeMap<String, Levels> = BTreeMap::new();
    for text in published.texts("SELECT value FROM current") {
        let event: Value = serde_json::from_str(&text).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let active = event["selling"]["active"].as_bool().map(|active| active.to_string());
        let quantity = &event["quantity"];
        let said = [
            text(&quantity["on_hand"]),
            text(&quantity["available"]),
            text(&event["item"]["sku"]),
            active,
        ];
        let key = (text(&event["item"]["id"]).unwrap(), text(&event["location"]["id"]).unwrap());
        let mapping = text(&event["origin"]["mapping"]).unwrap();
        let name = mapping.split('@').next().unwrap().to_owned();
        found.entry(name).or_default().insert(key, said);
    }
    found
}

async fn assert_alike(shop: &Shop, workspace: &Workspace, mappings: &[Mapping]) -> usize {
    let mut found = found(workspace);
    let mut levels = 0;
    for mapping in mappings {
        let wanted = wanted(shop, mapping).await;
        let found = found.remove(&mapping.name).unwrap_or_default();
        let keys: std::collections::BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
        let differ = keys.into_iter().find(|key| wanted.get(*key) != found.get(*key));
        if let Some(key) = differ {
            panic!(
                "{key:?}: published {:?}, held {:?}\n{}\n{}",
                found.get(key),
                wanted.get(key),
                mapping.block,
                mapping.query
            );
        }
        levels += wanted.len();
    }
    assert_eq!(found.keys().next(), None, "keys of no mapping");
    levels
}

/// A session in which text compares as in tailstock, and `||` joins.
async fn as_standard(shop: &Shop) {
    if shop.is_mysql() {
        let collation = if shop.is_mariadb() { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" };
        shop.execute(&format!("SET NAMES utf8mb4 COLLATE {collation}")).await;
        shop.execute("SET sql_mode = 'PIPES_AS_CONCAT,STRICT_TRANS_TABLES'").await;
    }
}

async fn trade(shop: &Shop, random: &mut Random, groups: &[Group], transactions: u64) {
    for _ in 0..transactions {
        shop.execute("BEGIN").await;
        for _ in 0..1 + random.below(3) {
            let group = usize::try_from(random.below(groups.len() as u64)).unwrap();
            for _ in 0..1 + random.below(4) {
                for statement in groups[group].change(random, shop.is_mysql()) {
                    shop.execute(&statement).await;
                }
            }
        }
        let end = if random.chance(10) { "ROLLBACK" } else { "COMMIT" };
        shop.execute(end).await;
    }
}

async fn catch_up(workspace: &Workspace) {
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(300)).await.success(), "{}", run.log());
}

/// One or two mappings of each group, and the groups.
fn plan(random: &mut Random, groups: u64, is_mysql: bool) -> (Vec<Group>, Vec<Mapping>) {
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut planned = Vec::new();
    for number in 0..groups {
        let known = mappings.len();
        for other in 0..1 + random.below(2) {
            let name = format!("m{number}x{other}");
            mappings.push(Mapping::random(random, &name, number, is_mysql));
        }
        let required = mappings[known..].iter().any(|mapping| mapping.required);
        planned.push(Group { number, required });
    }
    (planned, mappings)
}

async fn levels_are_what_a_query_says(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    let (number, rounds) = if is_full_size() { (120, 6) } else { (12, 1) };
    let mut random = Random::from_environment(test);
    let (groups, mappings) = plan(&mut random, number, shop.is_mysql());
    as_standard(&shop).await;
    for group in &groups {
        group.create(&shop).await;
        for statement in group.fill(&mut random, shop.is_mysql()) {
            shop.execute(&statement).await;
        }
    }
    if !shop.is_mysql() {
        let tables: Vec<String> = groups.iter().flat_map(Group::tables).collect();
        shop.execute(&format!("CREATE PUBLICATION tailstock FOR TABLE {}", tables.join(", ")))
            .await;
    }
    let stock: String = mappings.iter().map(|mapping| mapping.block.as_str()).collect();
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(&stock));
    for _ in 0..rounds {
        // In the first round tables are read meanwhile, in all of them it is killed in between.
        let running = Tailstock::start(&workspace, &["run"]);
        trade(&shop, &mut random, &groups, number * 4).await;
        running.kill_after(Duration::from_millis(random.below(500))).await;
        trade(&shop, &mut random, &groups, number).await;
        catch_up(&workspace).await;
        let levels = assert_alike(&shop, &workspace, &mappings).await;
        assert!(levels > mappings.len() / 2, "there is something to compare: {levels}");
        trade(&shop, &mut random, &groups, number * 2).await;
        catch_up(&workspace).await;
        assert_alike(&shop, &workspace, &mappings).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_what_a_query_on_postgresql_says() {
    let test = "levels_are_what_a_query_on_postgresql_says";
    levels_are_what_a_query_says(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_what_a_query_on_mysql_says() {
    let test = "levels_are_what_a_query_on_mysql_says";
    levels_are_what_a_query_says(MysqlVersion::Mysql97.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_what_a_query_on_mariadb_says() {
    let test = "levels_are_what_a_query_on_mariadb_says";
    levels_are_what_a_query_says(MysqlVersion::Mariadb1011.into(), test).await;
}

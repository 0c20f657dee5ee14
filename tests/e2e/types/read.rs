//! What it proves: of every type, the event of a row that was read from its table says what the
//! event of the row's change says.

#[path = "../../../connectors/mysql/tests/values/cases.rs"]
#[expect(dead_code, reason = "how a log tells its types apart is told elsewhere")]
mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use testbed::{MysqlVersion, PgVersion};

use super::VALUES;
use crate::support::{Engine, Published, Shop, Tailstock, Workspace};

/// A type of a column, and values of it in SQL.
struct Kind {
    name: String,
    values: Vec<String>,
}

/// A table of one column for each of these types, and of a row for each of their values.
struct Table {
    name: String,
    kinds: Vec<Kind>,
    /// In the format that MariaDB had before 10.1.2.
    is_old: bool,
}

impl Table {
    fn columns(&self) -> String {
        let column = |(nth, kind): (usize, &Kind)| format!(", c{nth} {} NULL", kind.name);
        let columns: String = self.kinds.iter().enumerate().map(column).collect();
        format!("id int PRIMARY KEY{columns}")
    }

    /// Behind the values of a type its column is NULL; in the last row all of them are.
    fn rows(&self) -> String {
        let most = self.kinds.iter().map(|kind| kind.values.len()).max().unwrap_or_default();
        let row = |nth: usize| {
            let value =
                |kind: &Kind| kind.values.get(nth).map_or("NULL", String::as_str).to_owned();
            let values: Vec<String> = self.kinds.iter().map(value).collect();
            format!("({nth}, {})", values.join(", "))
        };
        (0..=most).map(row).collect::<Vec<_>>().join(", ")
    }

    /// Each column as everything a column can be: in the fields of a level, and as its key.
    fn stock(&self) -> String {
        let block = |(nth, kind): (usize, &Kind)| {
            let table = &self.name;
            let column = format!("c{nth}");
            let number = if kind.name == "boolean" { "id" } else { &column };
            let fields = format!(
                "[[stock]]\ntable = \"public.{table}\"\nname = \"{table}-{column}\"\n\
                 item = \"id\"\nlocation = \"'{table}-{column}'\"\nsku = \"{column}\"\n\
                 gtin = \"'<' || {column} || '>'\"\nparent = \"CAST({column} AS text)\"\n\
                 on_hand = \"{number}\"\nactive = \"{column} IS NULL\"\n"
            );
            if is_float(&kind.name) {
                return fields;
            }
            let key = format!(
                "[[stock]]\ntable = \"public.{table}\"\nname = \"{table}-{column}-key\"\n\
                 item = \"{column}\"\nlocation = \"'{table}-{column}-key'\"\non_hand = \"id\"\n"
            );
            format!("{fields}{key}")
        };
        self.kinds.iter().enumerate().map(block).collect()
    }
}

/// No key is made of such a column.
fn is_float(kind: &str) -> bool {
    ["real", "double", "float"].iter().any(|name| kind.starts_with(name))
}

async fn create(shop: &Shop, tables: &[Table]) {
    if shop.is_mysql() {
        shop.execute("SET sql_mode = 'allow_invalid_dates', time_zone = '+00:00'").await;
    }
    for table in tables {
        if shop.is_mariadb() {
            let is_new = u8::from(!table.is_old);
            shop.execute(&format!("SET GLOBAL mysql56_temporal_format = {is_new}")).await;
        }
        shop.execute(&format!("CREATE TABLE {} ({})", table.name, table.columns())).await;
    }
    if !shop.is_mysql() {
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        shop.execute(&format!("CREATE PUBLICATION tailstock FOR TABLE {}", names.join(", "))).await;
    }
}

async fn run(workspace: &Workspace) {
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(180)).await.success(), "{}", run.log());
}

/// The last event of each key, without what says when and how it was learned.
fn said(workspace: &Workspace, capture: &str) -> BTreeMap<String, Value> {
    let mut said = BTreeMap::new();
    for mut event in Published::open(&workspace.path("stock.db")).events() {
        assert_eq!(event.value["capture"], capture, "{}", event.key);
        let members = event.value.as_object_mut().unwrap();
        for member in ["id", "capture", "version", "change", "committed_at"] {
            members.remove(member);
        }
        let origin = members["origin"].as_object_mut().unwrap();
        for member in ["operation", "transaction", "position", "row"] {
            origin.remove(member);
        }
        said.insert(event.key, event.value);
    }
    said
}

/// What could not be mapped, and why.
fn letters(workspace: &Workspace) -> Vec<String> {
    let sql = "SELECT table_name || ': ' || reason FROM dlq ORDER BY 1";
    Published::open(&workspace.path("stock.db")).texts(sql)
}

async fn read_and_streamed_are_alike(shop: &Shop, tables: &[Table]) {
    create(shop, tables).await;
    let stock: String = tables.iter().map(Table::stock).collect();
    let reader = |number: u32| match shop.is_mysql() {
        false => format!("slot = \"reader_{number}\"\n{stock}"),
        true => format!("server_id = {number}\n{stock}"),
    };
    let streamed = Workspace::new(Workspace::MAIN, &shop.seller(&reader(1)));
    run(&streamed).await;
    for table in tables {
        shop.execute(&format!("INSERT INTO {} VALUES {}", table.name, table.rows())).await;
    }
    run(&streamed).await;
    let read = Workspace::new(Workspace::MAIN, &shop.whole_seller(&reader(2)));
    run(&read).await;
    assert_eq!(letters(&streamed), letters(&read));
    let (streamed, read) = (said(&streamed, "stream"), said(&read, "snapshot"));
    let mut wrong = Vec::new();
    for key in streamed.keys().chain(read.keys()).collect::<BTreeSet<_>>() {
        let (streamed, read) = (streamed.get(key), read.get(key));
        if streamed != read {
            let cut = |value: Option<&Value>| -> String {
                value.map(Value::to_string).unwrap_or_default().chars().take(900).collect()
            };
            wrong.push(format!("{key}\nstreamed {}\nread     {}", cut(streamed), cut(read)));
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
    // There is a value of every column among them.
    for table in tables {
        for (nth, kind) in table.kinds.iter().enumerate() {
            let place = format!("{}-c{nth}", table.name);
            let is_there = |event: &Value| {
                event["location"]["id"] == place && event["item"]["sku_state"] == "resolved"
            };
            assert!(read.values().any(is_there), "{}", kind.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_postgresql_is_read_from_its_table_as_from_the_log() {
    let test = "every_type_of_postgresql_is_read_from_its_table_as_from_the_log";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.execute(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN positive AS int CHECK (value > 0);
         CREATE TYPE pair AS (n int, t text);",
    )
    .await;
    let kind = |(name, value, _): &(&str, &str, Option<&str>)| Kind {
        name: (*name).to_owned(),
        values: vec![(*value).to_owned()],
    };
    let kinds = VALUES.iter().map(kind).collect();
    let table = Table { name: "kinds".to_owned(), kinds, is_old: false };
    read_and_streamed_are_alike(&shop, &[table]).await;
}

/// So many columns of any types fit into a row.
const COLUMNS: usize = 10;

async fn every_type_is_read_as_from_the_log(version: MysqlVersion, test: &str) {
    let Some(shop) = Shop::start(Engine::from(version), test).await else { return };
    let (old, new): (Vec<_>, Vec<_>) =
        cases::of(version).into_iter().partition(|of| of.is_of_mariadb_5_3);
    let mut tables: Vec<Table> = Vec::new();
    for (types, is_old) in [(new, false), (old, true)] {
        let mut kinds = types.into_iter().map(|of| Kind { name: of.name, values: of.values });
        loop {
            let kinds: Vec<Kind> = kinds.by_ref().take(COLUMNS).collect();
            if kinds.is_empty() {
                break;
            }
            tables.push(Table { name: format!("kinds{}", tables.len()), kinds, is_old });
        }
    }
    read_and_streamed_are_alike(&shop, &tables).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_mysql_is_read_from_its_table_as_from_the_log() {
    let test = "every_type_of_mysql_is_read_from_its_table_as_from_the_log";
    every_type_is_read_as_from_the_log(MysqlVersion::Mysql97, test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_mariadb_is_read_from_its_table_as_from_the_log() {
    let test = "every_type_of_mariadb_is_read_from_its_table_as_from_the_log";
    every_type_is_read_as_from_the_log(MysqlVersion::Mariadb118, test).await;
}

//! What shops do all day, at random: several sessions change tables in transactions of every kind,
//! and each knows what every one of its keys must have been published as.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::support::{Connection, Random, Shop, State};

/// What has been committed: the states of every key, in order.
pub type Expected = BTreeMap<String, Vec<State>>;

/// A table of the shop, in which every row has one warehouse.
#[derive(Debug, Clone, Copy)]
struct Table {
    name: &'static str,
    warehouse: &'static str,
    /// Otherwise every statement stands for itself, and nothing is rolled back.
    has_transactions: bool,
}

const STOCK: Table = Table { name: "stock", warehouse: "w1", has_transactions: true };
/// MyISAM, where the server has it.
const OLD_STOCK: Table = Table { name: "old_stock", warehouse: "m1", has_transactions: false };

impl Table {
    /// Every second session changes the other one, if there is one.
    fn of_session(number: i64, shop: &Shop) -> Self {
        if shop.is_mysql() && number % 2 == 0 { OLD_STOCK } else { STOCK }
    }

    fn key(self, item: i64) -> String {
        format!("acme/main/{item}/{}", self.warehouse)
    }

    fn row(self, item: i64, sku: &str, quantity: i64) -> String {
        format!("({item}, '{}', '{sku}', {quantity})", self.warehouse)
    }
}

/// The record key of an item.
pub fn key(item: i64) -> String {
    STOCK.key(item)
}

/// Makes the tables that sessions change.
pub async fn create(shop: &Shop) {
    let columns =
        "item bigint, warehouse varchar(20), sku text, qty int, PRIMARY KEY (item, warehouse)";
    shop.create(STOCK.name, columns).await;
    if shop.is_mysql() {
        shop.create(OLD_STOCK.name, columns).await;
        shop.execute(&format!("ALTER TABLE {} ENGINE = MyISAM", OLD_STOCK.name)).await;
    }
}

/// The seller file for them.
pub fn seller(shop: &Shop) -> String {
    let mapping = |table: Table, location: &str| {
        format!(
            "[[stock]]\ntable = \"public.{}\"\nitem = \"item\"\nlocation = \"{location}\"\n\
             on_hand = \"qty\"\n",
            table.name
        )
    };
    let stock = match shop.is_mysql() {
        false => mapping(STOCK, "warehouse"),
        // Two tables must be seen to have no key in common.
        true => mapping(STOCK, "'w1'") + &mapping(OLD_STOCK, "'m1'"),
    };
    shop.seller(&stock)
}

/// What the shop says now, by key.
pub async fn levels(shop: &Shop) -> BTreeMap<String, Option<String>> {
    let mut levels = BTreeMap::new();
    let tables: &[Table] = if shop.is_mysql() { &[STOCK, OLD_STOCK] } else { &[STOCK] };
    for table in tables {
        for mut row in shop.rows(&format!("SELECT item, qty FROM {}", table.name)).await {
            let item = row[0].as_deref().unwrap().parse().unwrap();
            levels.insert(table.key(item), row.swap_remove(1));
        }
    }
    levels
}

/// One statement, and the quantities it leaves; `None` where a row is gone.
struct Change {
    sql: String,
    touched: BTreeMap<i64, Option<i64>>,
}

/// A session that owns a range of items, so that the order of a key's changes is its own.
struct Session {
    connection: Connection,
    table: Table,
    /// Makes the server compress its log or not, in words with `{}` for `ON` or `OFF`.
    compression: Option<&'static str>,
    random: Random,
    first_item: i64,
    next_item: i64,
    /// Live rows by item.
    live: BTreeMap<i64, i64>,
    expected: Expected,
    rows: u64,
}

impl Session {
    async fn new(shop: &Shop, number: i64, random: Random) -> Self {
        let first_item = number * 10_000_000;
        let compression = match (shop.is_mysql(), shop.is_mariadb()) {
            (false, _) => None,
            (true, false) => Some("SET SESSION binlog_transaction_compression = {}"),
            (true, true) => Some("SET GLOBAL log_bin_compress = {}"),
        };
        Self {
            connection: shop.connect().await,
            table: Table::of_session(number, shop),
            compression,
            random,
            first_item,
            next_item: first_item,
            live: BTreeMap::new(),
            expected: Expected::new(),
            rows: 0,
        }
    }

    async fn run(mut self, rows: u64) -> Self {
        while self.rows < rows {
            match self.random.below(20) {
                0 => self.large().await,
                1 => self.rolled_back().await,
                2 | 3 => self.in_bulk().await,
                4 => self.turn_compression().await,
                _ => self.small().await,
            }
        }
        self
    }

    /// A few changes of every kind, with a savepoint that is rolled back now and then.
    async fn small(&mut self) {
        let mut live = self.live.clone();
        let count = 1 + self.random.below(40);
        let changes: Vec<Change> = (0..count).map(|_| self.change(&mut live)).collect();
        self.rows += count;
        if !self.table.has_transactions {
            let statements: Vec<&str> = changes.iter().map(|change| change.sql.as_str()).collect();
            self.connection.execute(&statements.concat()).await;
            self.live = live;
            changes.into_iter().for_each(|change| self.committed(change.touched));
            return;
        }
        let mut sql = String::from("BEGIN;");
        let mut touched = BTreeMap::new();
        for change in changes {
            if self.random.chance(5) {
                let row = self.table.row(self.first_item + 9_999_999, "x", 1);
                let insert = format!("INSERT INTO {} VALUES {row}", self.table.name);
                write!(sql, "SAVEPOINT s; {insert}; ROLLBACK TO s;").unwrap();
            }
            sql += &change.sql;
            touched.extend(change.touched);
        }
        sql += "COMMIT;";
        self.connection.execute(&sql).await;
        self.live = live;
        self.committed(touched);
    }

    fn change(&mut self, live: &mut BTreeMap<i64, i64>) -> Change {
        let name = self.table.name;
        let quantity = i64::try_from(self.random.below(10_000)).unwrap();
        let existing = self.pick(live);
        match (self.random.below(10), existing) {
            (0 | 1, Some(item)) => {
                live.remove(&item);
                let sql = format!("DELETE FROM {name} WHERE item = {item};");
                Change { sql, touched: BTreeMap::from([(item, None)]) }
            }
            (2, Some(item)) => {
                let to = self.fresh();
                let quantity = live.remove(&item).unwrap();
                live.insert(to, quantity);
                let sql = format!("UPDATE {name} SET item = {to} WHERE item = {item};");
                Change { sql, touched: BTreeMap::from([(item, None), (to, Some(quantity))]) }
            }
            (3..=7, Some(item)) => {
                // What changes nothing is in the log of some servers, and not in that of others.
                let quantity = if live[&item] == quantity { quantity + 1 } else { quantity };
                live.insert(item, quantity);
                let sql = format!("UPDATE {name} SET qty = {quantity} WHERE item = {item};");
                Change { sql, touched: BTreeMap::from([(item, Some(quantity))]) }
            }
            _ => {
                let item = if self.random.chance(30) { self.gone(live) } else { None };
                let item = item.unwrap_or_else(|| self.fresh());
                live.insert(item, quantity);
                let row = self.table.row(item, "A", quantity);
                let sql = format!("INSERT INTO {name} VALUES {row};");
                Change { sql, touched: BTreeMap::from([(item, Some(quantity))]) }
            }
        }
    }

    /// More rows than a block holds.
    async fn large(&mut self) {
        let count = 1000 + i64::try_from(self.random.below(19_000)).unwrap();
        let rows: BTreeMap<i64, i64> =
            (0..count).map(|_| self.fresh()).map(|item| (item, item % 1000)).collect();
        self.connection.execute(&self.insert("INSERT", "B", &rows)).await;
        self.wrote(&rows);
    }

    async fn rolled_back(&mut self) {
        if !self.table.has_transactions {
            return;
        }
        let (name, first, item) = (self.table.name, self.first_item, self.first_item + 9_999_998);
        let row = self.table.row(item, "x", 1);
        let sql = format!(
            "BEGIN; INSERT INTO {name} VALUES {row};
             UPDATE {name} SET qty = qty + 1 WHERE item >= {first} AND item < {first} + 50;
             ROLLBACK;"
        );
        self.connection.execute(&sql).await;
    }

    /// Many rows at one place of the log: COPY, or REPLACE of some that are there and some not.
    async fn in_bulk(&mut self) {
        let mut rows = BTreeMap::new();
        for _ in 0..1 + self.random.below(300) {
            rows.insert(self.fresh(), i64::try_from(self.random.below(99)).unwrap());
        }
        match &self.connection {
            Connection::Postgres(client) => {
                let lines = rows.iter().map(|(item, quantity)| {
                    format!("{item}\t{}\tC\t{quantity}\n", self.table.warehouse)
                });
                copy(client, lines.collect()).await;
            }
            Connection::Mysql(_) => {
                for _ in 0..self.random.below(50) {
                    let item = self.pick(&self.live.clone());
                    rows.extend(item.map(|item| (item, self.live[&item] + 1)));
                }
                self.connection.execute(&self.insert("REPLACE", "C", &rows)).await;
            }
        }
        self.wrote(&rows);
    }

    async fn turn_compression(&mut self) {
        if let Some(compression) = self.compression {
            let turned = if self.random.chance(50) { "ON" } else { "OFF" };
            self.connection.execute(&compression.replace("{}", turned)).await;
        }
    }

    fn insert(&self, verb: &str, sku: &str, rows: &BTreeMap<i64, i64>) -> String {
        let rows = rows.iter().map(|(item, quantity)| self.table.row(*item, sku, *quantity));
        let rows: Vec<String> = rows.collect();
        format!("{verb} INTO {} VALUES {}", self.table.name, rows.join(","))
    }

    fn wrote(&mut self, rows: &BTreeMap<i64, i64>) {
        self.rows += rows.len() as u64;
        self.live.extend(rows);
        self.committed(rows.iter().map(|(item, quantity)| (*item, Some(*quantity))).collect());
    }

    fn committed(&mut self, touched: BTreeMap<i64, Option<i64>>) {
        for (item, quantity) in touched {
            let state = match quantity {
                None => State::Removed,
                Some(quantity) => State::Level { on_hand: Some(quantity.to_string()), sku: None },
            };
            self.expected.entry(self.table.key(item)).or_default().push(state);
        }
    }

    fn fresh(&mut self) -> i64 {
        self.next_item += 1;
        self.next_item - 1
    }

    fn pick(&mut self, live: &BTreeMap<i64, i64>) -> Option<i64> {
        let from = self.first_item + i64::try_from(self.random.next() >> 40).unwrap();
        live.range(from..).next().or_else(|| live.iter().next()).map(|(item, _)| *item)
    }

    /// An item that was there once.
    fn gone(&mut self, live: &BTreeMap<i64, i64>) -> Option<i64> {
        let used = u64::try_from(self.next_item - self.first_item).unwrap();
        let item = self.first_item + i64::try_from(self.random.below(used.max(1))).unwrap();
        (item < self.next_item && !live.contains_key(&item)).then_some(item)
    }
}

async fn copy(client: &tokio_postgres::Client, lines: String) {
    use futures_util::SinkExt as _;
    let sink = client.copy_in(&format!("COPY {} FROM STDIN", STOCK.name)).await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from(lines)).await.unwrap();
    sink.finish().await.unwrap();
}

/// Sessions at work.
pub struct Sessions(tokio::task::JoinSet<Session>);

impl Sessions {
    /// Four of them, until they have changed `rows` rows.
    pub async fn start(shop: &Shop, rows: u64, random: &mut Random) -> Self {
        Self::start_anew(shop, 0, rows, random).await
    }

    /// The same with items that no earlier round has touched.
    pub async fn start_anew(shop: &Shop, round: i64, rows: u64, random: &mut Random) -> Self {
        let mut sessions = tokio::task::JoinSet::new();
        for number in 4 * round + 1..=4 * round + 4 {
            let session = Session::new(shop, number, Random::new(random.next())).await;
            sessions.spawn(session.run(rows / 4));
        }
        Self(sessions)
    }

    /// What they have committed when all have ended.
    pub async fn join(self) -> Expected {
        let mut expected = Expected::new();
        self.0.join_all().await.into_iter().for_each(|session| expected.extend(session.expected));
        expected
    }
}

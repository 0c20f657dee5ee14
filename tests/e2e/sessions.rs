//! What shops do all day, at random: several sessions change a table in transactions of every kind,
//! and each knows what every one of its keys must have been published as.

use std::collections::BTreeMap;

use crate::support::{Random, Shop, State};

/// What has been committed: the states of every key, in order.
pub type Expected = BTreeMap<String, Vec<State>>;

/// A session that owns a range of items, so that the order of a key's changes is its own.
struct Session {
    client: tokio_postgres::Client,
    random: Random,
    first_item: i64,
    next_item: i64,
    /// Live rows by item.
    live: BTreeMap<i64, i64>,
    expected: Expected,
    rows: u64,
}

/// The record key of an item.
pub fn key(item: i64) -> String {
    format!("acme/main/{item}/w1")
}

impl Session {
    async fn new(shop: &Shop, number: i64, random: Random) -> Self {
        let first_item = number * 10_000_000;
        Self {
            client: shop.connect().await,
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
                2 | 3 => self.copy().await,
                _ => self.small().await,
            }
        }
        self
    }

    /// A few changes of every kind, with a savepoint that is rolled back now and then.
    async fn small(&mut self) {
        let mut live = self.live.clone();
        let mut touched: BTreeMap<i64, Option<i64>> = BTreeMap::new();
        let mut sql = String::from("BEGIN;");
        let changes = 1 + self.random.below(40);
        for _ in 0..changes {
            if self.random.chance(5) {
                let item = self.first_item + 9_999_999;
                sql += &format!(
                    "SAVEPOINT s; INSERT INTO stock VALUES ({item}, 'w1', 'x', 1); ROLLBACK TO s;"
                );
            }
            let quantity = i64::try_from(self.random.below(10_000)).unwrap();
            let existing = self.pick(&live);
            match (self.random.below(10), existing) {
                (0 | 1, Some(item)) => {
                    sql += &format!("DELETE FROM stock WHERE item = {item};");
                    live.remove(&item);
                    touched.insert(item, None);
                }
                (2, Some(item)) => {
                    let to = self.fresh();
                    sql += &format!("UPDATE stock SET item = {to} WHERE item = {item};");
                    let quantity = live.remove(&item).unwrap();
                    live.insert(to, quantity);
                    touched.insert(item, None);
                    touched.insert(to, Some(quantity));
                }
                (3..=7, Some(item)) => {
                    sql += &format!("UPDATE stock SET qty = {quantity} WHERE item = {item};");
                    live.insert(item, quantity);
                    touched.insert(item, Some(quantity));
                }
                _ => {
                    let item = if self.random.chance(30) { self.gone(&live) } else { None };
                    let item = item.unwrap_or_else(|| self.fresh());
                    sql += &format!("INSERT INTO stock VALUES ({item}, 'w1', 'A', {quantity});");
                    live.insert(item, quantity);
                    touched.insert(item, Some(quantity));
                }
            }
        }
        sql += "COMMIT;";
        self.client.batch_execute(&sql).await.unwrap();
        self.rows += changes;
        self.committed(live, touched);
    }

    /// More rows than a block holds.
    async fn large(&mut self) {
        let count = 1000 + i64::try_from(self.random.below(19_000)).unwrap();
        let first = self.next_item;
        self.next_item += count;
        let sql = format!(
            "INSERT INTO stock SELECT g, 'w1', 'B', g % 1000 FROM generate_series({first}, {}) g",
            first + count - 1
        );
        self.client.batch_execute(&sql).await.unwrap();
        self.rows += count.cast_unsigned();
        let touched = (first..first + count).map(|item| (item, Some(item % 1000)));
        let touched: BTreeMap<i64, Option<i64>> = touched.collect();
        let mut live = self.live.clone();
        live.extend(touched.iter().map(|(item, quantity)| (*item, quantity.unwrap())));
        self.committed(live, touched);
    }

    async fn rolled_back(&mut self) {
        let item = self.first_item + 9_999_998;
        let sql = format!(
            "BEGIN; INSERT INTO stock VALUES ({item}, 'w1', 'x', 1);
             UPDATE stock SET qty = qty + 1 WHERE item < {item}
               AND item >= {} AND item < {} + 50; ROLLBACK;",
            self.first_item, self.first_item
        );
        self.client.batch_execute(&sql).await.unwrap();
    }

    /// COPY writes many rows at one place of the log.
    async fn copy(&mut self) {
        use futures_util::SinkExt as _;
        let count = 1 + self.random.below(300);
        let mut touched = BTreeMap::new();
        let mut text = String::new();
        for _ in 0..count {
            let (item, quantity) = (self.fresh(), i64::try_from(self.random.below(99)).unwrap());
            text += &format!("{item}\tw1\tC\t{quantity}\n");
            touched.insert(item, Some(quantity));
        }
        let sink = self.client.copy_in("COPY stock FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from(text)).await.unwrap();
        sink.finish().await.unwrap();
        self.rows += count;
        let mut live = self.live.clone();
        live.extend(touched.iter().map(|(item, quantity)| (*item, quantity.unwrap())));
        self.committed(live, touched);
    }

    fn committed(&mut self, live: BTreeMap<i64, i64>, touched: BTreeMap<i64, Option<i64>>) {
        self.live = live;
        for (item, quantity) in touched {
            let state = match quantity {
                None => State::Removed,
                Some(quantity) => State::Level { on_hand: Some(quantity.to_string()), sku: None },
            };
            self.expected.entry(key(item)).or_default().push(state);
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

/// The table, its publication and its mapping.
pub const TABLE: &str = "
CREATE TABLE stock (item bigint, warehouse text, sku text, qty int, PRIMARY KEY (item, warehouse));
CREATE PUBLICATION tailstock FOR TABLE stock;";
pub const SELLER: &str = r#"
[[stock]]
table = "public.stock"
item = "item"
location = "warehouse"
on_hand = "qty"
"#;

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

/// What the shop says now, by key.
pub async fn levels(shop: &Shop) -> BTreeMap<String, Option<String>> {
    let rows = shop.client().query("SELECT item, qty::text FROM stock", &[]).await.unwrap();
    rows.iter().map(|row| (key(row.get(0)), row.get(1))).collect()
}

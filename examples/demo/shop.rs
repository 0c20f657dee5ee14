use std::collections::BTreeMap;

use testbed::Postgres;
use tokio_postgres::{Client, NoTls};

/// Item and location.
pub(crate) type Key = (String, String);
/// On hand, as the shop says.
pub(crate) type Levels = BTreeMap<Key, String>;

/// A shop with a few items in two warehouses.
pub(crate) struct Shop {
    client: Client,
    dice: u64,
    next_item: u64,
}

const ITEMS: [&str; 6] = ["teapot", "kettle", "mug", "saucer", "sieve", "spoon"];

impl Shop {
    pub(crate) async fn open(server: &Postgres) -> Self {
        let url = server.url("postgres", "postgres");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let tables = "CREATE TABLE stock (
                item text, warehouse text, on_hand int NOT NULL, reserved int NOT NULL DEFAULT 0,
                PRIMARY KEY (item, warehouse));
            CREATE PUBLICATION tailstock FOR TABLE stock;";
        client.batch_execute(tables).await.unwrap();
        let dice = u64::from(std::process::id()) << 20 | 1;
        Self { client, dice, next_item: 0 }
    }

    /// Whether somebody reads the shop's log: from then on nothing is missed.
    pub(crate) async fn is_followed(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_replication
            WHERE state IN ('catchup', 'streaming'))";
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// One thing that happens in a shop.
    pub(crate) async fn trade(&mut self) {
        let item = ITEMS[self.roll(ITEMS.len())];
        let warehouse = ["north", "south"][self.roll(2)];
        let count = 1 + self.roll(5);
        let row = format!("WHERE item = '{item}' AND warehouse = '{warehouse}'");
        let sql = match self.roll(100) {
            0 => format!("DELETE FROM stock {row}"),
            1 => {
                self.next_item += 1;
                let novelty = format!("novelty-{}", self.next_item % 3);
                format!(
                    "INSERT INTO stock VALUES ('{novelty}', '{warehouse}', {count})
                     ON CONFLICT (item, warehouse) DO UPDATE SET on_hand = {count}"
                )
            }
            2..=20 => format!(
                "INSERT INTO stock VALUES ('{item}', '{warehouse}', {0})
                 ON CONFLICT (item, warehouse) DO UPDATE SET on_hand = stock.on_hand + {0}",
                count * 4
            ),
            21..=30 => format!("UPDATE stock SET reserved = {count} {row}"),
            _ => {
                format!("UPDATE stock SET on_hand = on_hand - {count} {row} AND on_hand >= {count}")
            }
        };
        self.client.batch_execute(&sql).await.unwrap();
    }

    pub(crate) async fn levels(&self) -> Levels {
        let sql = "SELECT item, warehouse, on_hand::text FROM stock";
        let rows = self.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
    }

    /// Xorshift: a demonstration needs no better chance.
    fn roll(&mut self, sides: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % sides as u64).unwrap()
    }
}

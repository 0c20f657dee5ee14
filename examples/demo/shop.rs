use std::collections::BTreeMap;

use mysql_async::prelude::Queryable as _;
use testbed::{Mysql, Postgres};
use tokio_postgres::NoTls;

/// Seller, item and location.
pub(crate) type Key = (String, String, String);
/// On hand, as the shops say.
pub(crate) type Levels = BTreeMap<Key, String>;

/// A shop with a few items in two warehouses.
pub(crate) struct Shop {
    /// Its name.
    pub(crate) seller: &'static str,
    /// What its database is called.
    pub(crate) engine: &'static str,
    database: Database,
    items: [&'static str; 4],
    dice: u64,
}

enum Database {
    Postgres(tokio_postgres::Client),
    Mariadb(mysql_async::Conn),
}

impl Database {
    async fn run(&mut self, sql: &str) {
        match self {
            Self::Postgres(client) => client.batch_execute(sql).await.unwrap(),
            Self::Mariadb(connection) => connection.query_drop(sql).await.unwrap(),
        }
    }

    /// What is done with a row that is there already, and its new quantity.
    fn or_else(&self, on_hand: &str) -> String {
        let clause = match self {
            Self::Postgres(_) => "ON CONFLICT (item, warehouse) DO UPDATE SET",
            Self::Mariadb(_) => "ON DUPLICATE KEY UPDATE",
        };
        format!("{clause} on_hand = {on_hand}")
    }
}

const TABLE: &str = "CREATE TABLE stock (
    item varchar(40), warehouse varchar(40), on_hand int NOT NULL, reserved int NOT NULL DEFAULT 0,
    PRIMARY KEY (item, warehouse))";

impl Shop {
    pub(crate) async fn on_postgres(seller: &'static str, server: &Postgres) -> Self {
        let url = server.url("postgres", "postgres");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut database = Database::Postgres(client);
        database.run(TABLE).await;
        database.run("CREATE PUBLICATION tailstock FOR TABLE stock").await;
        let items = ["teapot", "kettle", "mug", "novelty"];
        Self { seller, engine: "PostgreSQL", database, items, dice: dice(1) }
    }

    pub(crate) async fn on_mariadb(seller: &'static str, server: &Mysql) -> Self {
        let url = format!("{}?prefer_socket=false", server.url("root", server.database()));
        let connection = mysql_async::Conn::from_url(url).await.unwrap();
        let mut database = Database::Mariadb(connection);
        database.run(TABLE).await;
        let items = ["assam", "sencha", "oolong", "novelty"];
        Self { seller, engine: "MariaDB", database, items, dice: dice(2) }
    }

    /// Whether somebody reads the shop's log: from then on nothing is missed.
    pub(crate) async fn is_followed(&mut self) -> bool {
        match &mut self.database {
            Database::Postgres(client) => {
                let sql = "SELECT EXISTS (SELECT FROM pg_stat_replication
                    WHERE state IN ('catchup', 'streaming'))";
                client.query_one(sql, &[]).await.unwrap().get(0)
            }
            Database::Mariadb(connection) => {
                let sql = "SELECT EXISTS (SELECT * FROM information_schema.processlist
                    WHERE command = 'Binlog Dump')";
                connection.query_first(sql).await.unwrap().unwrap()
            }
        }
    }

    /// One thing that happens in a shop.
    pub(crate) async fn trade(&mut self) {
        let item = self.items[self.roll(3)];
        let warehouse = ["north", "south"][self.roll(2)];
        let count = 1 + self.roll(5);
        let row = format!("WHERE item = '{item}' AND warehouse = '{warehouse}'");
        let insert = |item: &str, count: usize, or_else: String| {
            let columns = "INSERT INTO stock (item, warehouse, on_hand)";
            format!("{columns} VALUES ('{item}', '{warehouse}', {count}) {or_else}")
        };
        let sql = match self.roll(100) {
            0 => format!("DELETE FROM stock {row}"),
            1 => insert(self.items[3], count, self.database.or_else(&count.to_string())),
            2..=20 => {
                let more = count * 4;
                insert(item, more, self.database.or_else(&format!("stock.on_hand + {more}")))
            }
            21..=30 => format!("UPDATE stock SET reserved = {count} {row}"),
            _ => {
                format!("UPDATE stock SET on_hand = on_hand - {count} {row} AND on_hand >= {count}")
            }
        };
        self.database.run(&sql).await;
    }

    pub(crate) async fn levels(&mut self) -> Levels {
        let sql = "SELECT item, warehouse, concat(on_hand, '') FROM stock";
        let rows: Vec<(String, String, String)> = match &mut self.database {
            Database::Postgres(client) => {
                let rows = client.query(sql, &[]).await.unwrap();
                rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
            }
            Database::Mariadb(connection) => connection.query(sql).await.unwrap(),
        };
        let level = |(item, warehouse, on_hand): (String, String, String)| {
            ((self.seller.to_owned(), item, warehouse), on_hand)
        };
        rows.into_iter().map(level).collect()
    }

    /// Xorshift: a demonstration needs no better chance.
    fn roll(&mut self, sides: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % sides as u64).unwrap()
    }
}

/// Another beginning in every run, and for every shop.
fn dice(shop: u64) -> u64 {
    u64::from(std::process::id()) << 20 | shop
}

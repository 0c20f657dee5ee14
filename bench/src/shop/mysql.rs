use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use testbed::{Mysql, MysqlOptions, MysqlVersion};

use super::{Backlog, Change, Clock, Pace, Shop, Workload, writer};

/// A table of 200,000 stock rows, another one of the same shape that no mapping names, and a
/// procedure that changes both.
const TABLES: &str = "
CREATE TABLE inventory (
    id bigint PRIMARY KEY, seller int NOT NULL, sku varchar(64) NOT NULL,
    warehouse varchar(16) NOT NULL, quantity int NOT NULL, reserved int NOT NULL DEFAULT 0,
    updated_at datetime(6) NOT NULL) ENGINE = InnoDB;
CREATE TABLE basket LIKE inventory;
CREATE TABLE digit (n bigint PRIMARY KEY);
INSERT INTO digit VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
INSERT INTO inventory
    SELECT id, id % 500, concat('SKU-', lpad(id, 10, '0')), concat('WH-', id % 12),
        (id * 7919) % 1000, 0, now(6)
    FROM (SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n + 100000 * f.n AS id
        FROM digit a, digit b, digit c, digit d, digit e, digit f WHERE f.n < 2) AS numbers;
INSERT INTO basket SELECT * FROM inventory;
CREATE PROCEDURE change_rows(first bigint, last bigint, rows_each bigint)
BEGIN
    DECLARE i bigint DEFAULT first;
    DECLARE low bigint;
    WHILE i <= last DO
        SET low = 1 + (i * 7919 * rows_each) % (200000 - rows_each);
        IF i % 5 = 0 THEN
            UPDATE basket SET quantity = (quantity + i) % 1000, updated_at = now(6)
                WHERE id BETWEEN low AND low + rows_each - 1;
        ELSE
            UPDATE inventory SET quantity = (quantity + i) % 1000, updated_at = now(6)
                WHERE id BETWEEN low AND low + rows_each - 1;
        END IF;
        SET i = i + 1;
    END WHILE;
END;";

/// Of as many transactions one changes the table that is not captured.
const ONE_ELSEWHERE_OF: u64 = 5;

/// Sessions that make a backlog.
const WRITERS: u64 = 2;

/// How long the server may take to notice who has come or gone.
const LIMIT: Duration = Duration::from_secs(20);

/// MySQL or MariaDB, whose log holds the changes of all tables for every reader.
pub(crate) struct MysqlShop {
    server: Mysql,
    version: MysqlVersion,
}

impl MysqlShop {
    pub(crate) fn start(version: MysqlVersion) -> Self {
        let redo = match version.is_mariadb() {
            true => "innodb_log_file_size",
            false => "innodb_redo_log_capacity",
        };
        // Nothing is measured of how the server writes: the faster it does, the better.
        let options = MysqlOptions::default()
            .setting("sync_binlog", "0")
            .setting("innodb_flush_log_at_trx_commit", "0")
            .setting("innodb_doublewrite", "OFF")
            .setting("innodb_buffer_pool_size", "256M")
            .setting(redo, "512M")
            // As the README recommends.
            .setting("binlog_row_metadata", "FULL")
            .controlled();
        let server = Mysql::start(version, &options).unwrap();
        server.execute(TABLES).unwrap();
        Self { server, version }
    }

    /// The connections that read the log, in a state that has these words.
    fn dumps(&self, state: &str) -> Vec<String> {
        let listed = self.server.query("SHOW PROCESSLIST").unwrap();
        let [id, command, state_at] = [0, 4, 6];
        let is_one = |row: &&Vec<Option<String>>| {
            row[command].as_deref().is_some_and(|command| command.starts_with("Binlog Dump"))
                && row[state_at].as_deref().unwrap_or_default().contains(state)
        };
        listed.iter().filter(is_one).filter_map(|row| row[id].clone()).collect()
    }

    fn wait_until(&self, state: &str, condition: impl Fn(&[String]) -> bool) {
        let started = Instant::now();
        while !condition(&self.dumps(state)) {
            assert!(started.elapsed() < LIMIT, "readers of the log: {:?}", self.dumps(""));
        }
    }
}

impl Shop for MysqlShop {
    fn name(&self) -> &'static str {
        if self.version.is_mariadb() { "mariadb" } else { "mysql" }
    }

    /// MariaDB's has two names.
    fn peer(&self) -> &'static str {
        "mysqlbinlog"
    }

    /// It copies the file of the log, and decodes nothing.
    fn peer_command(&self, backlog: &Backlog, folder: &Path) -> Command {
        let (program, no_tls) = match self.version.is_mariadb() {
            true => ("mariadb-binlog", "--skip-ssl"),
            false => ("mysqlbinlog", "--ssl-mode=DISABLED"),
        };
        let mut command = self.server.bin(program).unwrap();
        // The same way in as tailstock's: a Unix socket costs the server less.
        command.args(["--protocol=tcp", "--host=127.0.0.1", no_tls]);
        command.arg(format!("--port={}", self.server.port()));
        command.args(["--read-from-remote-server", "--raw"]);
        command.arg(format!("--result-file={}/", folder.display()));
        command.arg(&backlog.from);
        command
    }

    fn table(&self) -> &'static str {
        "shop.inventory"
    }

    fn source(&self, from: Option<&Backlog>) -> String {
        let url = self.server.url("root", self.server.database());
        let first = from.map_or(String::new(), |from| format!("first_file = \"{}\"\n", from.from));
        format!("kind = \"mysql\"\nurl = \"{url}?ssl-mode=disabled\"\n{first}")
    }

    /// A file of the log, which goes on growing only when the next backlog is made.
    fn backlog(&self, workload: &Workload) -> Backlog {
        self.server.execute("FLUSH BINARY LOGS").unwrap();
        let listed = || self.server.query("SHOW BINARY LOGS").unwrap();
        let from = listed().last().unwrap()[0].clone().unwrap();
        let Workload { transactions, rows_each, .. } = *workload;
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let first = 1 + transactions * writer / WRITERS;
                let last = transactions * (writer + 1) / WRITERS;
                let call = format!("CALL change_rows({first}, {last}, {rows_each})");
                scope.spawn(move || self.server.execute(&call).unwrap());
            }
        });
        let [file, size] = [0, 1].map(|column| listed().last().unwrap()[column].clone().unwrap());
        assert_eq!(file, from, "a backlog fits into one file of the log");
        let rows = workload.rows();
        let elsewhere = transactions / ONE_ELSEWHERE_OF * rows_each;
        Backlog { from, end: size, rows, captured: rows - elsewhere }
    }

    /// A file of the log can be read again.
    fn rewind(&self, _: &Backlog) {}

    fn left(&self) {
        self.await_no_reader();
    }

    /// The server would notice only when it has something to send.
    fn await_no_reader(&self) {
        for id in self.dumps("") {
            // One that has gone by itself cannot be ended.
            drop(self.server.execute(&format!("KILL {id}")));
        }
        self.wait_until("", <[String]>::is_empty);
    }

    fn forget(&self, _: &Backlog) {}

    /// One that has caught up: others only look at the head of a file.
    fn await_reader(&self) {
        self.wait_until("has sent all binlog", |dumps| !dumps.is_empty());
    }

    /// A file of the log is kept for nobody.
    fn forget_reader(&self) {}

    fn change_one(&self) {
        let sql = "UPDATE inventory SET quantity = quantity + 1 WHERE id = 1";
        self.server.execute(sql).unwrap();
    }

    fn write(&self, pace: Pace, first: u32) -> JoinHandle<Vec<i64>> {
        let url = self.server.url("root", self.server.database());
        writer(move || async move {
            let opts = mysql_async::Opts::from_url(&url).unwrap();
            let mut connection = mysql_async::Conn::new(opts).await.unwrap();
            let sql = "UPDATE inventory SET quantity = ? WHERE id = ?";
            let update = connection.prep(sql).await.unwrap();
            let sent = pace
                .keep(first, async |Change { id, quantity }| {
                    connection.exec_drop(&update, (quantity, id)).await.unwrap();
                })
                .await;
            connection.disconnect().await.unwrap();
            sent
        })
    }

    fn clock(&self) -> Clock {
        if self.version.is_mariadb() { Clock::Writer } else { Clock::Server }
    }
}

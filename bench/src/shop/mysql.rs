use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use testbed::{Mysql, MysqlOptions, MysqlVersion};

use super::{
    Backlog, Change, Clock, INVENTORY, Load, Pace, STOCK, Shop, Statement, Workload, runtime,
    writer,
};

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

    fn url(&self) -> String {
        self.server.url("root", self.server.database())
    }

    /// One of the server's own clients; the same way in as tailstock's: a Unix socket costs the
    /// server less.
    fn client(&self, program: &str) -> Command {
        let mut command = self.server.bin(program).unwrap();
        let no_tls = if self.version.is_mariadb() { "--skip-ssl" } else { "--ssl-mode=DISABLED" };
        command.args(["--protocol=tcp", "--host=127.0.0.1", no_tls]);
        command.arg(format!("--port={}", self.server.port()));
        command
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

async fn connect(url: &str) -> Conn {
    Conn::new(Opts::from_url(url).unwrap()).await.unwrap()
}

/// A connection of its own on which the rows of a table are changed.
async fn updater(url: &str, table: &str) -> impl AsyncFnMut(Change) {
    let mut connection = connect(url).await;
    let sql = format!("UPDATE {table} SET quantity = ? WHERE id = ?");
    let update = connection.prep(sql).await.unwrap();
    async move |Change { id, quantity }| {
        connection.exec_drop(&update, (quantity, id)).await.unwrap();
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
        let program = if self.version.is_mariadb() { "mariadb-binlog" } else { "mysqlbinlog" };
        let mut command = self.client(program);
        command.args(["--read-from-remote-server", "--raw"]);
        command.arg(format!("--result-file={}/", folder.display()));
        command.arg(&backlog.from);
        command
    }

    fn schema(&self) -> &'static str {
        "shop"
    }

    fn source(&self, from: Option<&Backlog>) -> String {
        let url = self.url();
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

    fn change_one(&self, table: &str) {
        let sql = format!("UPDATE {table} SET quantity = quantity + 1 WHERE id = 1");
        self.server.execute(&sql).unwrap();
    }

    fn write(&self, pace: Pace, first: u32) -> JoinHandle<Vec<i64>> {
        let url = self.url();
        writer(async move || pace.keep(first, updater(&url, INVENTORY).await).await)
    }

    fn clock(&self) -> Clock {
        if self.version.is_mariadb() { Clock::Writer } else { Clock::Server }
    }

    fn fill(&self, rows: u64) {
        let make = format!(
            "CREATE TABLE {STOCK} (
                 id bigint PRIMARY KEY, sku varchar(64) NOT NULL, quantity int NOT NULL,
                 reserved int NOT NULL) ENGINE = InnoDB;
             INSERT INTO {STOCK}
                 SELECT id, concat('SKU-', lpad(id, 10, '0')), (id * 7919) % 1000, id % 7
                 FROM (SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n
                         + 100000 * f.n AS id
                     FROM digit a, digit b, digit c, digit d, digit e, digit f) AS numbers
                 WHERE id <= {rows};
             ANALYZE TABLE {STOCK}"
        );
        self.server.execute(&make).unwrap();
    }

    fn dumper(&self) -> &'static str {
        if self.version.is_mariadb() { "mariadb-dump" } else { "mysqldump" }
    }

    fn dump_command(&self) -> Command {
        let mut command = self.client(self.dumper());
        command.args(["--quick", "--single-transaction", "--no-create-info"]);
        if !self.version.is_mariadb() {
            // The place of the log would cost a lock on all tables.
            command.arg("--set-gtid-purged=OFF");
        }
        command.args([self.server.database(), STOCK]);
        command
    }

    fn load(&self, load: Load) -> JoinHandle<Vec<Statement>> {
        let url = self.url();
        writer(async move || load.keep(updater(&url, STOCK).await).await)
    }

    fn lock_waits(&self) -> u64 {
        let sql = "SHOW GLOBAL STATUS
            WHERE Variable_name IN ('Innodb_row_lock_waits', 'Table_locks_waited')";
        let counted = self.server.query(sql).unwrap();
        assert_eq!(counted.len(), 2, "{counted:?}");
        counted.iter().map(|row| row[1].as_ref().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Those of everybody: the server does not say which program a connection is. It knows whole
    /// seconds.
    fn oldest_transaction(&self) -> Box<dyn FnMut() -> Duration + Send> {
        let runtime = runtime();
        let mut connection = runtime.block_on(connect(&self.url()));
        let sql = "SELECT coalesce(max(timestampdiff(SECOND, trx_started, now())), 0)
            FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> 0";
        Box::new(move || {
            let seconds: Option<i64> = runtime.block_on(connection.query_first(sql)).unwrap();
            Duration::from_secs(seconds.unwrap().max(0).cast_unsigned())
        })
    }
}

use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use testbed::{PgVersion, Postgres, PostgresOptions};
use tokio_postgres::{Client, NoTls};

use super::{
    Backlog, Change, Clock, INVENTORY, Load, Pace, STOCK, Shop, Statement, Workload, runtime,
    writer,
};

/// A table of 200,000 stock rows and procedures that change it.
const TABLES: &str = "
CREATE TABLE inventory (
    id bigint PRIMARY KEY, seller int NOT NULL, sku text NOT NULL, warehouse text NOT NULL,
    quantity int NOT NULL, reserved int NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO inventory SELECT g, g % 500, 'SKU-' || lpad(g::text, 10, '0'), 'WH-' || (g % 12),
    (g * 7919) % 1000 FROM generate_series(1, 200000) g;
CREATE PUBLICATION bench FOR TABLE inventory;
CREATE PROCEDURE change(transactions int, rows_each int) LANGUAGE plpgsql AS $$
DECLARE first bigint;
BEGIN
    FOR i IN 1..transactions LOOP
        first := 1 + (i::bigint * 7919 * rows_each) % (200000 - rows_each);
        UPDATE inventory SET quantity = (quantity + i) % 1000, updated_at = clock_timestamp()
            WHERE id >= first AND id < first + rows_each;
        COMMIT;
    END LOOP;
END $$;";

/// The names of tailstock's connections begin so, and so do their lines in the server's log.
const OURS: &str = "tailstock";

/// Every contender drains a copy of the slot of a backlog.
const COPY: &str = "bench_copy";

/// How long the server may take to notice who has come or gone.
const LIMIT: Duration = Duration::from_secs(20);

/// PostgreSQL, whose every change is captured: its server leaves out the others itself.
pub(crate) struct PostgresShop(Postgres);

impl PostgresShop {
    pub(crate) fn start() -> Self {
        let options = PostgresOptions::default()
            .setting("shared_buffers", "256MB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "1h")
            // Every wait for a lock of more than a millisecond is told in the log.
            .setting("log_lock_waits", "on")
            .setting("deadlock_timeout", "1ms")
            .controlled();
        let server = Postgres::start(PgVersion::V15, options).unwrap();
        server.execute(TABLES).unwrap();
        server.execute("VACUUM ANALYZE inventory").unwrap();
        Self(server)
    }

    /// A client with no application name, so that it is none of tailstock's.
    fn url(&self) -> String {
        self.0.url("postgres", "postgres")
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A connection of its own on which the rows of a table are changed.
async fn updater(url: &str, table: &str) -> impl AsyncFnMut(Change) {
    let client = connect(url).await;
    let sql = format!("UPDATE {table} SET quantity = $2 WHERE id = $1");
    let update = client.prepare(&sql).await.unwrap();
    async move |Change { id, quantity }| {
        client.execute(&update, &[&id, &quantity]).await.unwrap();
    }
}

impl Shop for PostgresShop {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn peer(&self) -> &'static str {
        "pg_recvlogical"
    }

    fn peer_command(&self, backlog: &Backlog, _: &Path) -> Command {
        let mut command = self.0.bin("pg_recvlogical").unwrap();
        // The same way in as tailstock's: a Unix socket costs the server less.
        command.args(["--host", "127.0.0.1", "--dbname", "postgres"]);
        command.args(["--slot", COPY, "--start"]);
        command.args(["--option", "proto_version=1"]);
        command.args(["--option", "publication_names=bench"]);
        command.args(["--file", "/dev/null", "--fsync-interval", "0", "--no-loop"]);
        command.args(["--endpos", &backlog.end]);
        command
    }

    fn schema(&self) -> &'static str {
        "public"
    }

    fn source(&self, from: Option<&Backlog>) -> String {
        let url = self.url();
        let slot = from.map_or(String::new(), |_| format!("slot = \"{COPY}\"\n"));
        format!(
            "kind = \"postgres\"\nurl = \"{url}?sslmode=disable\"\npublication = \"bench\"\n{slot}"
        )
    }

    fn backlog(&self, workload: &Workload) -> Backlog {
        let from = format!("base_{}", workload.name);
        let make = format!("SELECT pg_create_logical_replication_slot('{from}', 'pgoutput')");
        self.0.execute(&make).unwrap();
        let (transactions, rows_each) = (workload.transactions, workload.rows_each);
        self.0.execute(&format!("CALL change({transactions}, {rows_each})")).unwrap();
        let end = self.0.value("SELECT pg_current_wal_insert_lsn()").unwrap();
        // Something behind the end, so that a client that stops at it gets to see it.
        self.0.execute("SELECT pg_logical_emit_message(false, 'bench', 'end')").unwrap();
        self.0.execute("SELECT pg_switch_wal()").unwrap();
        Backlog { from, end, rows: workload.rows(), captured: workload.rows() }
    }

    fn rewind(&self, backlog: &Backlog) {
        let copy = format!("SELECT pg_copy_logical_replication_slot('{}', '{COPY}')", backlog.from);
        self.0.execute(&copy).unwrap();
    }

    fn left(&self) {
        let free =
            format!("SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{COPY}'");
        self.0.wait_until(&free, LIMIT).unwrap();
        self.0.execute(&format!("SELECT pg_drop_replication_slot('{COPY}')")).unwrap();
    }

    fn forget(&self, backlog: &Backlog) {
        self.0.execute(&format!("SELECT pg_drop_replication_slot('{}')", backlog.from)).unwrap();
    }

    fn await_reader(&self) {
        self.0.wait_until("SELECT bool_or(active) FROM pg_replication_slots", LIMIT).unwrap();
    }

    fn await_no_reader(&self) {
        self.0
            .wait_until(
                "SELECT NOT coalesce(bool_or(active), false) FROM pg_replication_slots",
                LIMIT,
            )
            .unwrap();
    }

    fn forget_reader(&self) {
        // A sink that stores nothing leaves none.
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                    WHERE slot_name = 'bench_acme_main'";
        self.0.execute(drop).unwrap();
    }

    fn change_one(&self, table: &str) {
        let sql = format!("UPDATE {table} SET quantity = quantity + 1 WHERE id = 1");
        self.0.execute(&sql).unwrap();
    }

    fn write(&self, pace: Pace, first: u32) -> JoinHandle<Vec<i64>> {
        let url = self.url();
        writer(async move || pace.keep(first, updater(&url, INVENTORY).await).await)
    }

    fn clock(&self) -> Clock {
        Clock::Server
    }

    fn fill(&self, rows: u64) {
        let make = format!(
            "CREATE TABLE {STOCK} (id bigint PRIMARY KEY, sku text NOT NULL,
                 quantity int NOT NULL, reserved int NOT NULL);
             INSERT INTO {STOCK}
                 SELECT g, 'SKU-' || lpad(g::text, 10, '0'), (g * 7919) % 1000, g % 7
                 FROM generate_series(1::bigint, {rows}) g;
             ALTER PUBLICATION bench ADD TABLE {STOCK}"
        );
        self.0.execute(&make).unwrap();
        self.0.execute(&format!("VACUUM ANALYZE {STOCK}")).unwrap();
    }

    fn dumper(&self) -> &'static str {
        "psql"
    }

    fn dump_command(&self) -> Command {
        let mut command = self.0.bin("psql").unwrap();
        // The same way in as tailstock's: a Unix socket costs the server less.
        command.args(["--host", "127.0.0.1", "--dbname", "postgres", "--no-psqlrc"]);
        command.args(["--command", &format!("COPY {STOCK} TO STDOUT")]);
        command
    }

    fn load(&self, load: Load) -> JoinHandle<Vec<Statement>> {
        let url = self.url();
        writer(async move || load.keep(updater(&url, STOCK).await).await)
    }

    /// A new slot waits until the transactions are over that it found open, and keeps nobody.
    fn lock_waits(&self) -> u64 {
        let log = self.0.log().unwrap();
        let theirs = |line: &&str| {
            line.contains(" still waiting for ") && !line.contains(&format!("] {OURS}"))
        };
        log.lines().filter(theirs).count() as u64
    }

    fn oldest_transaction(&self) -> Box<dyn FnMut() -> Duration + Send> {
        let runtime = runtime();
        let client = runtime.block_on(connect(&self.url()));
        let sql = format!(
            "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
             FROM pg_stat_activity WHERE application_name LIKE '{OURS}%'"
        );
        Box::new(move || {
            let row = runtime.block_on(client.query_one(&sql, &[])).unwrap();
            Duration::from_secs_f64(row.get::<_, f64>(0).max(0.0))
        })
    }
}

use testbed::{PgVersion, Postgres, PostgresOptions};

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

/// How many transactions of how many rows.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) transactions: u64,
    pub(crate) rows_each: u64,
}

impl Workload {
    pub(crate) fn rows(&self) -> u64 {
        self.transactions * self.rows_each
    }
}

/// Changes that lie in the log behind a slot, and where they end.
pub(crate) struct Backlog {
    pub(crate) slot: String,
    pub(crate) end: String,
    pub(crate) rows: u64,
}

/// The server that is measured, and its one table.
pub(crate) struct Shop {
    pub(crate) server: Postgres,
}

impl Shop {
    pub(crate) fn start() -> Self {
        let options = PostgresOptions::default()
            .setting("shared_buffers", "256MB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "1h")
            .controlled();
        let server = Postgres::start(PgVersion::V15, options).unwrap();
        server.execute(TABLES).unwrap();
        server.execute("VACUUM ANALYZE inventory").unwrap();
        Self { server }
    }

    /// Makes a backlog; every contender drains a copy of its slot.
    pub(crate) fn backlog(&self, workload: &Workload) -> Backlog {
        let slot = format!("base_{}", workload.name);
        let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        self.server.execute(&make).unwrap();
        let (transactions, rows_each) = (workload.transactions, workload.rows_each);
        self.server.execute(&format!("CALL change({transactions}, {rows_each})")).unwrap();
        let end = self.server.value("SELECT pg_current_wal_insert_lsn()").unwrap();
        // Something behind the end, so that a client that stops at it gets to see it.
        self.server.execute("SELECT pg_logical_emit_message(false, 'bench', 'end')").unwrap();
        self.server.execute("SELECT pg_switch_wal()").unwrap();
        Backlog { slot, end, rows: workload.rows() }
    }

    pub(crate) fn copy(&self, backlog: &Backlog) {
        let copy =
            format!("SELECT pg_copy_logical_replication_slot('{}', 'bench_copy')", backlog.slot);
        self.server.execute(&copy).unwrap();
    }

    /// Waits until the client's server process has gone, and drops the copy.
    pub(crate) fn drop_copy(&self) {
        let free = "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'bench_copy'";
        self.server.wait_until(free, std::time::Duration::from_secs(20)).unwrap();
        self.server.execute("SELECT pg_drop_replication_slot('bench_copy')").unwrap();
    }

    pub(crate) fn forget(&self, backlog: &Backlog) {
        let drop = format!("SELECT pg_drop_replication_slot('{}')", backlog.slot);
        self.server.execute(&drop).unwrap();
    }
}

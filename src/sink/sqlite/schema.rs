/// Marks a file as ours ("tstk"), in the header field that SQLite keeps for it.
pub(super) const APPLICATION_ID: i32 = 0x7473_746b;

/// The layout written by this version. A later one is refused, an earlier one is upgraded.
pub(super) const FORMAT: i32 = 2;

/// From each layout to the next, beginning with that of format 1.
pub(super) const UPGRADES: [&str; 1] = ["
ALTER TABLE levels ADD COLUMN table_name TEXT NOT NULL DEFAULT '';
UPDATE levels SET table_name = coalesce(
    (SELECT value ->> '$.origin.table' FROM events WHERE seq = event_seq), '');
"];

/// The tables. Everything is text but the sequence numbers.
pub(super) const TABLES: &str = "
CREATE TABLE owner (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    token TEXT NOT NULL
);
CREATE TABLE published (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL
);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    seller TEXT NOT NULL,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    committed_at TEXT,
    value TEXT NOT NULL
);
CREATE TABLE levels (
    key TEXT PRIMARY KEY,
    seller TEXT NOT NULL,
    source TEXT NOT NULL,
    item TEXT NOT NULL,
    sku TEXT,
    location TEXT NOT NULL,
    bucket TEXT,
    on_hand TEXT,
    available TEXT,
    reserved TEXT,
    incoming TEXT,
    version TEXT NOT NULL,
    committed_at TEXT,
    event_seq INTEGER NOT NULL,
    table_name TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE control (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    seller TEXT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE TABLE dlq (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    seller TEXT NOT NULL,
    source TEXT NOT NULL,
    table_name TEXT NOT NULL,
    position TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE TABLE checkpoints (
    seller TEXT NOT NULL,
    source TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (seller, source)
) WITHOUT ROWID;
CREATE TABLE rows (
    seller TEXT NOT NULL,
    source TEXT NOT NULL,
    table_name TEXT NOT NULL,
    pk TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (seller, source, table_name, pk)
) WITHOUT ROWID;
CREATE VIEW current AS
    SELECT levels.*, events.value
    FROM levels LEFT JOIN events ON events.seq = levels.event_seq;
";

CREATE TABLE IF NOT EXISTS stock (
    key       TEXT PRIMARY KEY,
    version   TEXT NOT NULL,
    removed   BOOLEAN NOT NULL,
    item      TEXT NOT NULL,
    sku       TEXT,
    location  TEXT NOT NULL,
    on_hand   TEXT,
    available TEXT
);
CREATE TABLE IF NOT EXISTS offsets (partition INTEGER PRIMARY KEY, next BIGINT NOT NULL);

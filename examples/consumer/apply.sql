INSERT INTO stock (key, version, removed, item, sku, location, on_hand, available)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (key) DO UPDATE SET
    version = excluded.version, removed = excluded.removed,
    item = excluded.item, sku = excluded.sku, location = excluded.location,
    on_hand = excluded.on_hand, available = excluded.available
WHERE excluded.version > stock.version

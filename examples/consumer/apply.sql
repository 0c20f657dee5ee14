INSERT INTO stock (key, version, removed, item, sku, location, on_hand, available)
SELECT $1, $2 ->> 'version', $2 ->> 'kind' = 'removed',
    $2 -> 'item' ->> 'id', $2 -> 'item' ->> 'sku', $2 -> 'location' ->> 'id',
    $2 -> 'quantity' ->> 'on_hand', $2 -> 'quantity' ->> 'available'
WHERE $2 ->> 'kind' IN ('level', 'removed')
ON CONFLICT (key) DO UPDATE SET
    version = excluded.version, removed = excluded.removed,
    item = excluded.item, sku = excluded.sku, location = excluded.location,
    on_hand = excluded.on_hand, available = excluded.available
WHERE excluded.version > stock.version

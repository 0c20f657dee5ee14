use super::Platform;

/// An ERP: stock by warehouse and by lot, movements beside it, quantities in `DOUBLE`.
pub(super) const SHOP: Platform = Platform {
    name: "Dolibarr",
    files: &["dolibarr_5.0.0.sql"],
    patterns: &["shop.llx_*"],
    tables: &[
        "llx_product_stock",
        "llx_product",
        "llx_product_batch",
        "llx_stock_mouvement",
        "llx_entrepot",
        "llx_c_input_reason",
    ],
    statements: &STATEMENTS,
};

const STATEMENTS: [&str; 34] = [
    // Goods are sold: a movement, the place, the sum, in one transaction.
    "START TRANSACTION;
     INSERT INTO llx_stock_mouvement (datem, fk_product, fk_entrepot, value, type_mouvement,
     fk_user_author, label, inventorycode, price, fk_origin, origintype) VALUES
     ('2026-11-21 12:00:00', 2, 2, -3, 2, 1, 'Shipment SH1702', NULL, '0', 5, 'shipping');
     UPDATE llx_product_stock SET reel = reel + -3 WHERE fk_entrepot = 2 AND fk_product = 2;
     UPDATE llx_product SET stock = (SELECT SUM(ps.reel) FROM llx_product_stock ps
     WHERE ps.fk_product = 2) WHERE rowid = 2;
     COMMIT",
    "UPDATE llx_product_stock SET reel = reel - 0.1 WHERE rowid = 3",
    "UPDATE llx_product SET stock = stock - 0.1 WHERE rowid = 4",
    "UPDATE llx_product_batch SET qty = qty + -1 WHERE rowid = 1",
    // Goods come in, for the first time in this place.
    "INSERT INTO llx_product_stock (reel, fk_entrepot, fk_product) VALUES (60, 3, 1)",
    "INSERT INTO llx_product_stock (reel, fk_entrepot, fk_product) VALUES (NULL, 9, 1)",
    "UPDATE llx_product_stock SET reel = 0.30000000000000004
     WHERE fk_entrepot = 9 AND fk_product = 1",
    "INSERT INTO llx_product_batch (fk_product_stock, sellby, eatby, batch, qty)
     VALUES (3, '2027-01-31 00:00:00', NULL, 'L-42', 1e15)",
    // A transfer, of which half is taken back.
    "START TRANSACTION;
     UPDATE llx_product_stock SET reel = reel - 10 WHERE rowid = 1;
     SAVEPOINT half;
     UPDATE llx_product_stock SET reel = reel + 11 WHERE rowid = 7;
     INSERT INTO llx_stock_mouvement (fk_product, fk_entrepot, value) VALUES (2, 1, 11);
     ROLLBACK TO SAVEPOINT half;
     UPDATE llx_product_stock SET reel = reel + 10 WHERE rowid = 7;
     COMMIT",
    "START TRANSACTION; UPDATE llx_product_stock SET reel = 0; ROLLBACK;
     UPDATE llx_product_stock SET reel = reel + 1 WHERE rowid = 8",
    // A count of the whole stock.
    "UPDATE llx_product_stock SET reel = 100, tms = '2026-11-21 10:00:00' WHERE fk_entrepot = 1",
    "UPDATE llx_product p SET p.stock = (SELECT SUM(reel) FROM llx_product_stock ps
     WHERE ps.fk_product = p.rowid)",
    "INSERT INTO llx_stock_mouvement (datem, fk_product, fk_entrepot, value, label, batch, eatby)
     SELECT '2026-11-21 12:30:00', fk_product, fk_entrepot, reel, 'Inventory 2026', NULL,
     '2027-02-28' FROM llx_product_stock",
    // Products are made and edited.
    "INSERT INTO llx_product (datec, entity, ref, ref_ext, price_min, price_min_ttc, label,
     fk_user_author, fk_product_type, price, price_ttc, price_base_type, tobuy, tosell)
     VALUES ('2026-11-21 12:00:00', 1, 'TEA', NULL, 0, 0, 'Thé vert', 1, 0, 12.5, 15.000000015,
     'HT', 1, 1)",
    "UPDATE llx_product SET label = 'Green tea', description = NULL, note = 'a\\nb\\t\\\\c',
     barcode = NULL, tva_tx = 5.5, weight = 0.25, length = 1e-3, volume = NULL, pmp = 3.33333333,
     cost_price = 1e7, fk_product_type = 0, finished = NULL WHERE ref = 'TEA'",
    "UPDATE llx_product SET ref = 'TEA-2' WHERE ref = 'TEA'",
    "UPDATE llx_product SET price = price * 1.1, price_ttc = price_ttc * 1.1
     WHERE fk_product_type = 0",
    "UPDATE llx_product SET seuil_stock_alerte = 5, desiredstock = 20 WHERE stock < 400",
    "UPDATE llx_product SET tosell = 0, stock = NULL WHERE fk_product_type = 1",
    "UPDATE llx_product SET tms = '1970-01-01 00:00:01', datec = '9999-12-31 23:59:59'
     WHERE rowid = 1",
    // An import.
    "INSERT INTO llx_product_stock (fk_product, fk_entrepot, reel, import_key) VALUES
     (2, 1, 500, '20261121'), (4, 1, 501.25, '20261121'), (5, 1, 502, '20261121')
     ON DUPLICATE KEY UPDATE reel = VALUES(reel), import_key = VALUES(import_key)",
    "REPLACE INTO llx_product_stock (rowid, fk_product, fk_entrepot, reel) VALUES (4, 4, 1, 7),
     (500, 5, 1, 8)",
    "INSERT IGNORE INTO llx_product_stock (fk_product, fk_entrepot, reel) VALUES (2, 1, 1),
     (10, 3, 1)",
    "-- fails\nINSERT INTO llx_entrepot (label, entity) VALUES ('North', 1);
     INSERT INTO llx_entrepot (label, entity) VALUES ('South', 1), ('North', 1)",
    // Places.
    "INSERT INTO llx_entrepot (label, description, lieu, address, fk_pays, datec)
     VALUES ('Entrepôt Ω', '', NULL, 'Rue de l''Église 1', 1, '2026-11-21 00:00:00')",
    "UPDATE llx_entrepot SET statut = 0 WHERE label LIKE 'Personal%'",
    "DELETE FROM llx_entrepot WHERE label = 'North'",
    // A table of another engine.
    "INSERT INTO llx_c_input_reason (code, label, module) VALUES ('SRC_TV', 'Télévision', NULL)",
    "UPDATE llx_c_input_reason SET active = 0 WHERE code LIKE 'SRC_%'",
    "REPLACE INTO llx_c_input_reason (code, label, active) VALUES ('SRC_TV', 'TV', 1)",
    // The next version of the program.
    "ALTER TABLE llx_product_stock ADD COLUMN fk_lot INT NULL AFTER tms, ALGORITHM=INPLACE",
    "UPDATE llx_product_stock SET fk_lot = 7, reel = reel + 1 WHERE fk_product = 2",
    "DELETE FROM llx_product_batch WHERE qty > 100",
    "DELETE FROM llx_product_stock WHERE reel < 10",
];

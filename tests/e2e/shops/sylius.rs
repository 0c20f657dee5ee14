use super::Platform;

/// Stock by variant, changed in transactions that count versions; many foreign keys.
pub(super) const SHOP: Platform = Platform {
    name: "Sylius",
    files: &["sylius_mysql.sql"],
    patterns: &["shop.sylius_*"],
    tables: &[
        "sylius_product",
        "sylius_product_variant",
        "sylius_product_variant_translation",
        "sylius_product_translation",
        "sylius_channel_pricing",
        "sylius_order",
        "sylius_order_item",
        "sylius_order_item_unit",
    ],
    statements: &STATEMENTS,
};

const STATEMENTS: [&str; 34] = [
    // A catalogue.
    "INSERT INTO sylius_product (id, code, created_at, enabled, variant_selection_method)
     VALUES (1, 'MUG', '2026-11-21 12:00:00', 1, 'match'),
     (2, 'SHIRT', '2026-11-21 12:00:00', 1, 'choice'), (3, 'BOOK', NOW(), 0, 'choice')",
    "INSERT INTO sylius_product_translation (translatable_id, name, slug, locale, description)
     VALUES (1, 'Mug', 'mug', 'en_US', NULL), (1, 'Tasse 🍵', 'tasse', 'de_DE', 'für Tee'),
     (2, 'T-Shirt', 't-shirt', 'en_US', REPEAT('long ', 500))",
    "INSERT INTO sylius_product_variant (id, product_id, code, created_at, position, enabled,
     on_hold, on_hand, tracked, shipping_required, weight) VALUES
     (1, 1, 'MUG', NOW(), 0, 1, 0, 10, 1, 1, 0.1),
     (2, 2, 'SHIRT-S', NOW(), 0, 1, 0, 20, 1, 1, NULL),
     (3, 2, 'SHIRT-M', NOW(), 1, 1, 2, 30, 1, 1, 1e-5),
     (4, 3, 'BOOK', NOW(), 0, 1, 0, 0, 0, 0, 123456789.125)",
    "INSERT INTO sylius_product_variant_translation (translatable_id, name, locale)
     VALUES (2, 'Small', 'en_US'), (3, NULL, 'en_US'), (3, 'Mittel', 'de_DE')",
    "INSERT INTO sylius_channel_pricing (product_variant_id, price, original_price, channel_code)
     VALUES (1, 999, NULL, 'WEB'), (2, 1999, 2499, 'WEB'), (3, NULL, NULL, 'WEB')",
    // An order, from the cart to the door.
    "INSERT INTO sylius_order (id, state, items_total, adjustments_total, total, created_at,
     currency_code, locale_code, checkout_state, payment_state, shipping_state, token_value)
     VALUES (1, 'cart', 0, 0, 0, NOW(), 'EUR', 'de_DE', 'cart', 'cart', 'cart', 'Xy_z')",
    "START TRANSACTION;
     INSERT INTO sylius_order_item (id, order_id, variant_id, quantity, unit_price, units_total,
     adjustments_total, total, is_immutable, product_name) VALUES (1, 1, 3, 2, 1999, 3998, 0, 3998,
     0, 'T-Shirt');
     INSERT INTO sylius_order_item_unit (order_item_id, adjustments_total, created_at)
     VALUES (1, 0, NOW()), (1, 0, NOW());
     UPDATE sylius_order SET items_total = 3998, total = 3998 WHERE id = 1;
     COMMIT",
    "START TRANSACTION;
     SELECT on_hand FROM sylius_product_variant WHERE id = 3 FOR UPDATE;
     UPDATE sylius_product_variant SET on_hold = 4, version = version + 1
     WHERE id = 3 AND version = 1;
     UPDATE sylius_order SET state = 'new', number = '000000001', checkout_completed_at = NOW(),
     checkout_state = 'completed', payment_state = 'awaiting_payment', notes = 'Gruß 😀'
     WHERE id = 1;
     COMMIT",
    "START TRANSACTION;
     UPDATE sylius_product_variant SET on_hold = on_hold - 2, on_hand = on_hand - 2,
     version = version + 1 WHERE id = 3 AND version = 2;
     UPDATE sylius_order SET payment_state = 'paid', updated_at = NOW() WHERE id = 1;
     COMMIT",
    "UPDATE sylius_order SET shipping_state = 'shipped', state = 'fulfilled' WHERE id = 1",
    // An order that is taken back, and one that never was.
    "START TRANSACTION;
     UPDATE sylius_product_variant SET on_hand = on_hand + 2, version = version + 1 WHERE id = 3;
     UPDATE sylius_order SET payment_state = 'refunded' WHERE id = 1;
     COMMIT",
    "START TRANSACTION; UPDATE sylius_product_variant SET on_hand = 0; ROLLBACK;
     UPDATE sylius_product_variant SET on_hold = 1 WHERE id = 1",
    // Two sales in one transaction, and one row more than once.
    "START TRANSACTION;
     UPDATE sylius_product_variant SET on_hand = on_hand - 1 WHERE id = 1;
     UPDATE sylius_product_variant SET on_hand = on_hand - 1 WHERE id = 2;
     UPDATE sylius_product_variant SET on_hand = on_hand - 1 WHERE id = 1;
     COMMIT",
    // An administrator.
    "UPDATE sylius_product_variant SET on_hand = -5, tracked = 0 WHERE code = 'BOOK'",
    "UPDATE sylius_product_variant SET width = 0.1, height = 3.0000000000000004, depth = -0,
     weight = NULL, updated_at = '2026-11-21 13:00:00' WHERE id = 2",
    "UPDATE sylius_product SET enabled = 1, average_rating = 4.333333333333333 WHERE code = 'BOOK'",
    "UPDATE sylius_product_variant SET code = 'SHIRT-MEDIUM' WHERE code = 'SHIRT-M'",
    "UPDATE sylius_channel_pricing SET original_price = price, price = price - 100
     WHERE channel_code = 'WEB'",
    "UPDATE sylius_product_translation SET description = NULL, meta_keywords = ''
     WHERE locale = 'en_US'",
    "UPDATE sylius_product_variant v JOIN sylius_product p ON p.id = v.product_id
     SET v.on_hand = v.on_hand + 100 WHERE p.code = 'SHIRT'",
    "UPDATE sylius_product_variant SET position = position + 1 ORDER BY id DESC",
    // Imports.
    "INSERT INTO sylius_product_variant (product_id, code, created_at, position, enabled, on_hold,
     on_hand, tracked, shipping_required) VALUES (1, 'MUG', NOW(), 0, 1, 0, 55, 1, 1),
     (2, 'SHIRT-L', NOW(), 2, 1, 0, 56, 1, 1)
     ON DUPLICATE KEY UPDATE on_hand = VALUES(on_hand), version = version + 1",
    "REPLACE INTO sylius_channel_pricing (product_variant_id, price, channel_code)
     VALUES (1, 1099, 'WEB'), (4, 2500, 'WEB')",
    "REPLACE INTO sylius_product_variant_translation (translatable_id, name, locale)
     VALUES (2, 'S', 'en_US'), (1, 'One size', 'en_US')",
    "INSERT IGNORE INTO sylius_product (code, created_at, enabled, variant_selection_method)
     VALUES ('MUG', NOW(), 1, 'match'), ('POT', NOW(), 1, 'match')",
    "INSERT INTO sylius_product_variant (product_id, code, created_at, position, enabled, on_hold,
     on_hand, tracked, shipping_required) SELECT id, CONCAT(code, '-', n), NOW(), n, 1, 0, n * 10,
     1, 1 FROM sylius_product, (SELECT 1 n UNION SELECT 2 UNION SELECT 3) numbers
     WHERE code = 'POT'",
    "-- fails\nINSERT INTO sylius_product_translation (translatable_id, name, slug, locale)
     VALUES (3, 'Book', 'book', 'en_US'); INSERT INTO sylius_product_variant (product_id, code,
     created_at, position, enabled, on_hold, on_hand, tracked, shipping_required)
     VALUES (3, 'BOOK-2', NOW(), 0, 1, 0, 1, 1, 1), (3, 'BOOK', NOW(), 0, 1, 0, 1, 1, 1)",
    // The next version of the program.
    "ALTER TABLE sylius_product_variant ADD COLUMN backorder TINYINT(1) DEFAULT 1 NOT NULL FIRST",
    "UPDATE sylius_product_variant SET backorder = 0, on_hand = 9 WHERE code = 'MUG'",
    "ALTER TABLE sylius_product_variant DROP COLUMN backorder",
    "UPDATE sylius_product_variant SET on_hand = 8 WHERE code = 'MUG'",
    // Things go, those that hang on others before them.
    "DELETE FROM sylius_order_item_unit; DELETE FROM sylius_order_item; DELETE FROM sylius_order",
    "DELETE FROM sylius_channel_pricing WHERE price IS NULL OR price > 2000",
    "DELETE FROM sylius_product_variant WHERE code LIKE 'POT-%'",
];

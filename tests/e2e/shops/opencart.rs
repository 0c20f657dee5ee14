use super::Platform;

/// Tables with a prefix, nearly all of them MyISAM; variants have stock of their own.
pub(super) const SHOP: Platform = Platform {
    name: "OpenCart",
    files: &["opencart_3.0.4.0.sql"],
    patterns: &["shop.oc_*"],
    tables: &[
        "oc_product",
        "oc_product_option_value",
        "oc_product_to_category",
        "oc_order",
        "oc_order_product",
        "oc_cart",
        "oc_setting",
    ],
    statements: &STATEMENTS,
};

const STATEMENTS: [&str; 40] = [
    // Somebody looks at a product.
    "UPDATE oc_product SET viewed = (viewed + 1) WHERE product_id = '40'",
    // An order.
    "INSERT INTO oc_cart SET api_id = '0', customer_id = '1', session_id = '5c3e',
     product_id = '40', recurring_id = '0', `option` = '{\"218\":\"7\"}', quantity = '2',
     date_added = NOW()",
    "UPDATE oc_cart SET quantity = (quantity + 1) WHERE product_id = '40' AND customer_id = '1'",
    "INSERT INTO oc_order SET invoice_prefix = 'INV-2026-00', store_name = 'Your Store',
     firstname = 'Zoë', comment = 'Schön verpackt, bitte — 你好', total = '303.0000',
     currency_value = '1.00000000', date_added = NOW(), date_modified = NOW()",
    "INSERT INTO oc_order_product SET order_id = '1', product_id = '40', name = 'iPhone',
     model = 'product 11', quantity = '3', price = '101.0000', total = '303.0000', tax = '22.2000',
     reward = '0'",
    "UPDATE oc_order SET order_status_id = '1', date_modified = '2026-11-21 12:00:00'
     WHERE order_id = '1'",
    "UPDATE oc_product SET quantity = (quantity - 3) WHERE product_id = '40' AND subtract = '1'",
    "UPDATE oc_product_option_value SET quantity = (quantity - 3)
     WHERE product_option_value_id = '7' AND subtract = '1'",
    "DELETE FROM oc_cart WHERE api_id = '0' AND customer_id = '1'",
    // It is cancelled.
    "UPDATE oc_product SET quantity = (quantity + 3) WHERE product_id = '40' AND subtract = '1'",
    "UPDATE oc_order SET order_status_id = '7' WHERE order_id = '1'",
    // An order of two products, statement after statement as MyISAM has no transactions.
    "UPDATE oc_product SET quantity = (quantity - 1) WHERE product_id = '42';
     UPDATE oc_product SET quantity = (quantity - 2) WHERE product_id = '30';
     UPDATE oc_product_option_value SET quantity = (quantity - 2) WHERE
     product_option_value_id = '16'",
    // An administrator edits a product: everything is written again, options are made anew.
    "UPDATE oc_product SET model = 'product 11', sku = 'IPH-40', upc = '', ean = '4006381333931',
     location = 'A/7', quantity = '250', minimum = '1', subtract = '1', stock_status_id = '5',
     date_available = '2026-12-01', price = '99.9900', weight = '10.00000000', status = '1',
     date_modified = NOW() WHERE product_id = '40'",
    "DELETE FROM oc_product_option_value WHERE product_id = '42'",
    "INSERT INTO oc_product_option_value (product_option_value_id, product_option_id, product_id,
     option_id, option_value_id, quantity, subtract, price, price_prefix, points, points_prefix,
     weight, weight_prefix) VALUES (1, 217, 42, 5, 41, 99, 0, '1.0000', '+', 0, '+', '1', '+'),
     (6, 218, 42, 1, 31, 146, 1, '20.0000', '+', 2, '-', '20.00000001', '+'),
     (7, 218, 42, 1, 43, -300, 1, '30.5', '-', 3, '+', '0', '-')",
    // Products come: one by hand, one as a copy, some with a file.
    "INSERT INTO oc_product SET model = 'Teapot', sku = 'TEA-1', quantity = '12', image = NULL,
     date_available = '0000-00-00', date_added = NOW(), date_modified = '0000-00-00 00:00:00'",
    "INSERT INTO oc_product (model, sku, upc, ean, jan, isbn, mpn, location, quantity,
     stock_status_id, manufacturer_id, tax_class_id, date_added, date_modified)
     SELECT CONCAT(model, ' copy'), '', upc, ean, jan, isbn, mpn, location, 0, stock_status_id,
     manufacturer_id, tax_class_id, NOW(), NOW() FROM oc_product WHERE product_id IN (28, 29)",
    "INSERT INTO oc_product (product_id, model, sku, quantity, price) VALUES
     (28, 'Product 1', 'P-1', 10, 1), (29, 'Product 2', 'P-2', 20, 2), (700, 'New', 'N', 30, 3)
     ON DUPLICATE KEY UPDATE quantity = VALUES(quantity), sku = VALUES(sku)",
    "REPLACE INTO oc_product (product_id, model, sku, quantity, price, date_added, date_modified)
     VALUES (30, 'Product 3', 'P-3', 77, '0.0001', NOW(), NOW()), (701, 'Newer', 'N2', 1, 1, NOW(),
     NOW())",
    "REPLACE INTO oc_product SET product_id = 701, model = 'Newest', quantity = -5",
    "INSERT IGNORE INTO oc_product_to_category (product_id, category_id) VALUES (28, 20), (700, 20),
     (701, 20)",
    "-- fails\nINSERT INTO oc_product_to_category (product_id, category_id) VALUES (700, 57),
     (28, 20), (701, 57)",
    // Prices and stock of many.
    "UPDATE oc_product SET price = price * 1.07",
    "UPDATE oc_product SET quantity = quantity + 5 WHERE manufacturer_id = 8
     ORDER BY product_id DESC LIMIT 3",
    "UPDATE oc_product p JOIN oc_product_to_category c ON c.product_id = p.product_id
     SET p.quantity = 0, p.stock_status_id = 5 WHERE c.category_id = 20",
    "UPDATE oc_product SET status = '0' WHERE quantity <= 0",
    "UPDATE oc_product SET quantity = -4, weight = '0.00000001' WHERE product_id = 43",
    "UPDATE oc_product SET image = NULL WHERE product_id IN (44, 45)",
    "UPDATE oc_product SET date_available = '0000-00-00', date_modified = '2026-00-00 00:00:00'
     WHERE product_id = 46",
    "UPDATE oc_product SET product_id = 900 WHERE product_id = 47",
    // Things go.
    "DELETE FROM oc_product WHERE product_id = '49'",
    "DELETE FROM oc_product_option_value WHERE quantity < 10",
    "DELETE p, c FROM oc_product p JOIN oc_product_to_category c ON c.product_id = p.product_id
     WHERE p.product_id IN (33, 700)",
    // An extension comes with a column of its own.
    "ALTER TABLE oc_product ADD COLUMN supplier_ref VARCHAR(20) NULL AFTER model",
    "UPDATE oc_product SET supplier_ref = 'S-28', quantity = 8 WHERE product_id = 28",
    "INSERT INTO oc_product SET model = 'Kettle', supplier_ref = NULL, quantity = 2147483647",
    "UPDATE oc_setting SET `value` = '{\"a\":\"\\\\u00e9\",\"b\":\"c\\\\\\\\d\"}', serialized = '1'
     WHERE `key` = 'config_name'",
    "DELETE FROM oc_setting WHERE store_id = '0' AND `code` = 'total_total'",
    "INSERT INTO oc_cart (customer_id, session_id, product_id, quantity, `option`, date_added)
     SELECT 2, 'x', product_id, 1, '[]', NOW() FROM oc_product WHERE status = 1",
    "TRUNCATE TABLE oc_cart",
];

use super::Platform;

/// Tables without a prefix, most of them MyISAM; quantities are `FLOAT`.
pub(super) const SHOP: Platform = Platform {
    name: "Zen Cart",
    files: &["zencart_mysql.sql", "zencart_demo.sql"],
    // Whatever there is.
    patterns: &[],
    tables: &[
        "products",
        "products_attributes",
        "products_description",
        "specials",
        "orders_products",
        "customers_basket",
        "sessions",
        "counter",
    ],
    statements: &STATEMENTS,
};

const STATEMENTS: [&str; 36] = [
    // A visit.
    "INSERT INTO sessions (sesskey, expiry, value) VALUES ('k1', 1900000000, 0x00ff10c3a9)",
    "UPDATE sessions SET expiry = 4294967295, value = 'cart|a:1' WHERE sesskey = 'k1'",
    "INSERT INTO counter (startdate, counter) VALUES ('20261121', 1), (NULL, NULL)",
    "UPDATE counter SET counter = counter + 1",
    "INSERT INTO customers_basket (customers_id, products_id, customers_basket_quantity,
     customers_basket_date_added) VALUES (1, '1:4f9c', 2.5, '20261121')",
    "UPDATE customers_basket SET customers_basket_quantity = 3 WHERE customers_id = 1",
    // An order.
    "INSERT INTO orders_products (orders_id, products_id, products_model, products_name,
     products_price, final_price, products_tax, products_quantity, products_prid)
     VALUES (1, 1, 'MG200MMS', 'Matrox G200 MMS', 299.9900, 349.9900, 7.0000, 3, '1:4f9c')",
    "UPDATE products SET products_quantity = 28, products_ordered = 4 WHERE products_id = 1",
    "UPDATE products SET products_quantity = products_quantity - 0.1 WHERE products_id = 2",
    "UPDATE products SET products_status = 0 WHERE products_quantity <= 0",
    "DELETE FROM customers_basket WHERE customers_id = 1",
    "DELETE FROM sessions WHERE sesskey = 'k1'",
    // Quantities that a FLOAT holds only nearly, or prints as another.
    "UPDATE products SET products_quantity = 16777217 WHERE products_id = 3",
    "UPDATE products SET products_quantity = 1234567.8 WHERE products_id = 4",
    "UPDATE products SET products_quantity = -0.333333333 WHERE products_id = 5",
    "UPDATE products SET products_quantity = 1e-7, products_weight = 3.4e38 WHERE products_id = 6",
    // An administrator edits a product.
    "UPDATE products SET products_quantity = '31', products_model = NULL, products_mpn = 'M-1',
     products_price = '12345678901.2345', products_length = NULL, products_width = '10.1250',
     products_last_modified = now(), products_date_available = NULL, manufacturers_id = NULL
     WHERE products_id = '7'",
    "UPDATE products SET products_date_added = '0001-01-01 00:00:00',
     products_last_modified = '0000-00-00 00:00:00' WHERE products_id = 8",
    "REPLACE INTO products_description (products_id, language_id, products_name,
     products_description) VALUES (8, 1, 'Théière', 'Für Tee, 500 ml')",
    "UPDATE products_description SET products_description = REPEAT('lang ', 2000)
     WHERE products_id = 8",
    "UPDATE products_description SET products_description = NULL, products_url = ''
     WHERE products_id IN (9, 10)",
    "INSERT INTO specials (products_id, specials_new_products_price, specials_date_added,
     expires_date, status) VALUES (7, 9.9900, now(), '0001-01-01', 1)",
    "UPDATE specials SET status = 0, date_status_change = '2026-11-21 12:00:00'
     WHERE expires_date < '2026-01-01' AND specials_id < 5",
    "DELETE FROM products_attributes WHERE products_id = 1",
    "INSERT INTO products_attributes (products_id, options_id, options_values_id,
     options_values_price, price_prefix, products_attributes_weight, attributes_image,
     attributes_qty_prices) VALUES (1, 4, 1, 0, '', 0.1, NULL, '10:9.5,20:9'), (1, 4, 2, 50, '+',
     0.2, 'a.gif', NULL), (1, 3, 5, -1.5, '-', 1e10, '', '')",
    "UPDATE products_attributes SET options_values_price = options_values_price * 1.1
     WHERE options_id = 4",
    // A file is imported.
    "INSERT INTO products (products_id, products_model, products_quantity, products_date_added)
     VALUES (1, 'MG200MMS', 40.5, now()), (2, 'MG400-32MB', 7, now()), (9001, 'TEA-1', 12, now())
     ON DUPLICATE KEY UPDATE products_quantity = VALUES(products_quantity)",
    "REPLACE INTO products (products_id, products_model, products_quantity, products_date_added)
     VALUES (9001, 'TEA-1', 11, now()), (9002, 'TEA-2', 5, now())",
    "INSERT INTO products (products_model, products_quantity, products_date_added, products_image)
     SELECT CONCAT(LEFT(products_model, 20), '-B'), 0, now(), products_image FROM products
     WHERE products_id BETWEEN 10 AND 14",
    "UPDATE products SET products_price = ROUND(products_price * 1.03, 2)
     WHERE manufacturers_id IN (1, 2)",
    "UPDATE products p, products_description d SET p.products_quantity = 3
     WHERE d.products_id = p.products_id AND d.products_name LIKE 'M%'",
    "-- fails\nUPDATE products SET products_id = products_id + 1 WHERE products_id >= 9001
     ORDER BY products_id DESC; INSERT INTO products (products_id) VALUES (9100), (9002), (9101)",
    // Things go.
    "DELETE FROM products WHERE products_id = 9002",
    "DELETE p, d FROM products p JOIN products_description d ON d.products_id = p.products_id
     WHERE p.products_id BETWEEN 20 AND 23",
    "DELETE FROM counter WHERE counter IS NULL",
    "TRUNCATE TABLE specials",
];

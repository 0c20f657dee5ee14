use super::*;

fn changed(text: &str) -> Vec<TableName> {
    match read(text) {
        Statement::Dml { tables } => tables,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn rows_are_inserted_into_the_table_after_the_keyword() {
    for text in [
        "INSERT INTO stock VALUES (1, 'it''s; DELETE FROM u')",
        "insert low_priority ignore into `shop`.`stock` (a) select a from u",
        "REPLACE stock SET a = 1",
        "INSERT DELAYED stock(a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2",
        "/* app */ INSERT /*+ SET_VAR(a=1) */ INTO stock VALUES (1)",
        "LOAD DATA INFILE '/tmp/into table u' REPLACE INTO TABLE stock FIELDS TERMINATED BY ','",
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE `stock` CHARACTER SET utf8mb4 (@a, b) SET c = @a",
        "load xml infile 'x' into table stock",
        "SET STATEMENT a=1 FOR INSERT INTO stock VALUES (1)",
    ] {
        assert_eq!(changed(text), tables(&["stock"]), "{text}");
    }
}

#[test]
fn an_update_names_its_tables_before_set() {
    for (text, names) in [
        ("UPDATE stock SET qty = (SELECT 1 FROM u)", &["stock"][..]),
        ("update low_priority ignore shop.stock as s set s.qty = 1 where id in (1, 2)", &["stock"]),
        ("UPDATE stock s, Price p SET s.a = p.a", &["stock", "Price"]),
        (
            "UPDATE stock s JOIN o.u ON (s.a = u.a) LEFT JOIN v USING (a, b) SET s.a = 1",
            &["stock", "o.u", "v"],
        ),
        ("UPDATE (stock, Price) STRAIGHT_JOIN v SET a = 1", &["stock", "Price", "v"]),
        ("UPDATE stock PARTITION (p0, p1) USE INDEX (a, b), v SET a = 1", &["stock", "v"]),
        ("UPDATE stock JOIN (SELECT a FROM u, w) d ON 1 SET a = 1", &["stock"]),
        ("UPDATE { OJ stock LEFT OUTER JOIN v ON 1 } SET a = 1", &["stock", "v"]),
        ("UPDATE LATERAL (SELECT 1) d, stock SET a = 1", &["stock"]),
    ] {
        assert_eq!(changed(text), tables(names), "{text}");
    }
}

#[test]
fn a_delete_names_one_table_or_those_it_joins() {
    for (text, names) in [
        ("DELETE FROM stock WHERE a = 1 AND b IN (SELECT b FROM u)", &["stock"][..]),
        ("DELETE QUICK FROM `stock` AS s ORDER BY a, b LIMIT 5", &["stock"]),
        ("DELETE HISTORY FROM stock", &["stock"]),
        ("DELETE stock FROM stock JOIN v ON 1 WHERE a", &["stock", "v"]),
        ("DELETE stock.*, o.u.* FROM stock, o.u", &["stock", "o.u"]),
        ("DELETE s FROM stock AS s INNER JOIN v USING (a) WHERE 1", &["s", "stock", "v"]),
        ("DELETE FROM s, v USING stock AS s JOIN v ON 1", &["s", "v", "stock"]),
        ("DELETE FROM stock RETURNING a, b", &["stock"]),
    ] {
        assert_eq!(changed(text), tables(names), "{text}");
    }
}

#[test]
fn what_calls_code_may_change_any_table() {
    for text in ["CALL shop.p(1)", "DO f()", "SELECT `shop`.`f`(1)"] {
        assert_eq!(changed(text), [], "{text}");
    }
}

#[test]
fn a_query_before_the_change_is_gone_behind() {
    for (text, names) in [
        (
            "WITH c AS (SELECT a FROM u) UPDATE stock JOIN c ON 1 SET stock.a = 1",
            &["stock", "c"][..],
        ),
        ("WITH c (a, b) AS (SELECT a FROM u), d AS (SELECT 1) DELETE FROM v", &["v"]),
    ] {
        assert_eq!(changed(text), tables(names), "{text}");
    }
    assert_eq!(read("ANALYZE UPDATE stock SET a = 1"), unknown(&["stock"]));
}

#[test]
fn more_tables_than_a_server_joins_are_searched_for_captured_ones_only() {
    let names: Vec<String> = (0..100_000).map(|nth| format!("t{nth}")).collect();
    let text = format!("UPDATE {}, stock SET a = 1", names.join(", "));
    assert_eq!(read(&text), unknown(&["stock"]));
}

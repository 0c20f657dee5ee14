use super::*;

fn changes(text: &str) -> Vec<Change> {
    match read(text) {
        Statement::Ddl(changes) => changes,
        other => panic!("{text}: {other:?}"),
    }
}

fn created(name: &str, source: Source) -> Change {
    Change::Created { table: table(name), source, if_not_exists: false }
}

fn altered(name: &str) -> Change {
    Change::Altered(table(name))
}

fn dropped(name: &str) -> Change {
    Change::Dropped(table(name))
}

fn moved(name: &str) -> Change {
    Change::RowsMoved(table(name))
}

fn renamed(from: &str, to: &str) -> Change {
    Change::Renamed { from: table(from), to: table(to) }
}

#[test]
fn a_table_is_created_from_columns_another_table_or_a_query() {
    let like = || Source::Like(table("other.u"));
    for (text, source) in [
        ("CREATE TABLE stock (id INT, `select` INT, c INT COMMENT 'select')", Source::Columns),
        ("CREATE TABLE stock (id INT CHECK (id LIKE 1), g INT AS (id + 1))", Source::Columns),
        ("CREATE TABLE stock (id INT) START TRANSACTION", Source::Columns),
        ("CREATE TABLE stock LIKE other.u", like()),
        ("CREATE TABLE `stock`(like `other`.`u`)", like()),
        ("CREATE TABLE stock SELECT * FROM u", Source::Query),
        ("CREATE TABLE stock (id INT) ENGINE=MyISAM IGNORE AS (SELECT 1)", Source::Query),
        ("CREATE TABLE stock AS WITH c AS (SELECT 1) SELECT * FROM c", Source::Query),
        ("CREATE TABLE stock AS TABLE u", Source::Query),
        ("CREATE TABLE stock AS VALUES ROW(1)", Source::Query),
    ] {
        assert_eq!(changes(text), [created("stock", source)], "{text}");
    }
}

#[test]
fn an_existing_table_may_stay_as_it_is_or_be_replaced() {
    let if_not_exists = true;
    let kept = Change::Created { table: table("stock"), source: Source::Columns, if_not_exists };
    assert_eq!(changes("CREATE TABLE IF NOT EXISTS `stock` (id INT)"), [kept]);
    let replaced = [dropped("stock"), created("stock", Source::Columns)];
    assert_eq!(changes("CREATE OR REPLACE TABLE shop.stock (id INT)"), replaced);
}

#[test]
fn temporary_tables_are_nobody_s() {
    for text in [
        "CREATE TEMPORARY TABLE stock (id INT)",
        "CREATE OR REPLACE TEMPORARY TABLE stock SELECT 1",
        "CREATE /*!32311 TEMPORARY */ TABLE stock (id INT)",
        "DROP TEMPORARY TABLE IF EXISTS stock",
        "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `stock`",
    ] {
        assert_eq!(read(text), Statement::Other, "{text}");
    }
}

#[test]
fn altering_what_is_beside_the_values_leaves_them_as_they_are() {
    for text in [
        "ALTER TABLE `shop`.`stock` RENAME INDEX c TO d, RENAME KEY e TO f",
        "ALTER TABLE stock ADD KEY (a, b), ADD UNIQUE i (a), COMMENT 'x', ALGORITHM=INPLACE",
        "ALTER TABLE stock ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES b (c), DROP FOREIGN KEY d",
        "ALTER TABLE stock ADD CONSTRAINT CHECK (a > 0), DROP PRIMARY KEY, DROP CONSTRAINT e",
        "ALTER TABLE stock ALTER COLUMN a SET DEFAULT 5, ALTER INDEX i INVISIBLE",
        "ALTER TABLE stock ADD PARTITION (PARTITION p1 VALUES LESS THAN (5))",
        "ALTER TABLE stock REORGANIZE PARTITION p0, p1 INTO (PARTITION p2 VALUES IN (1))",
        "ALTER TABLE stock PARTITION BY HASH (id) PARTITIONS 4",
        "ALTER TABLE stock REMOVE PARTITIONING",
        "ALTER TABLE stock ENGINE=InnoDB ROW_FORMAT=DYNAMIC, AUTO_INCREMENT = 5, ORDER BY a",
        "ALTER TABLE stock DEFAULT CHARACTER SET utf8mb4",
        "ALTER TABLE stock FORCE",
        "ALTER TABLE stock",
        "ALTER TABLE stock;",
        "CREATE INDEX i ON stock (a)",
        "CREATE OR REPLACE UNIQUE INDEX IF NOT EXISTS i USING BTREE ON shop.stock (a)",
        "CREATE FULLTEXT INDEX `on` ON `stock` (a)",
        "DROP INDEX i ON stock",
        "DROP INDEX IF EXISTS `PRIMARY` ON stock ALGORITHM=INPLACE",
    ] {
        assert_eq!(changes(text), [altered("stock")], "{text}");
    }
}

#[test]
fn altering_columns_may_change_their_values() {
    for (text, columns) in [
        ("ALTER TABLE stock ADD COLUMN c INT DEFAULT 7 FIRST", &["c"][..]),
        ("ALTER ONLINE TABLE IF EXISTS stock WAIT 5 ADD c ENUM('a,b', 'rename to x')", &["c"]),
        ("ALTER TABLE stock ADD COLUMN IF NOT EXISTS (a INT, `b c` DECIMAL(9, 2))", &["a", "b c"]),
        ("ALTER TABLE stock RENAME COLUMN a TO b, DROP COLUMN c, DROP d", &["a", "b", "c", "d"]),
        ("ALTER TABLE stock DROP COLUMN qty, ADD COLUMN qty INT DEFAULT 0", &["qty", "qty"]),
        ("ALTER TABLE stock ADD KEY (a), ADD `key` INT", &["key"]),
    ] {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let rewritten = Change::Rewritten { table: table("stock"), columns };
        assert_eq!(changes(text), [altered("stock"), rewritten], "{text}");
    }
}

#[test]
fn altering_types_keys_and_character_sets_may_change_any_row() {
    let rewritten = Change::Rewritten { table: table("stock"), columns: Vec::new() };
    for text in [
        "ALTER TABLE stock MODIFY qty DECIMAL(10,0)",
        "ALTER TABLE stock CHANGE COLUMN qty amount INT NOT NULL, ADD c INT",
        "ALTER TABLE stock CONVERT TO CHARACTER SET latin1",
        "ALTER IGNORE TABLE stock ADD UNIQUE (sku)",
        "ALTER ONLINE IGNORE TABLE stock ADD UNIQUE (sku)",
        "ALTER TABLE stock ADD PRIMARY KEY (a)",
        "ALTER TABLE stock ADD CONSTRAINT `c` PRIMARY KEY (a)",
        "ALTER TABLE stock ADD CONSTRAINT PRIMARY KEY (a)",
        "ALTER TABLE stock ENGINE = BLACKHOLE",
        "ALTER TABLE stock DROP SYSTEM VERSIONING",
        "ALTER TABLE stock FROBNICATE",
    ] {
        assert_eq!(changes(text), [altered("stock"), rewritten.clone()], "{text}");
    }
}

#[test]
fn renames_are_carried_out_in_their_order() {
    assert_eq!(changes("ALTER TABLE x RENAME TO y"), [renamed("x", "y")]);
    assert_eq!(changes("ALTER TABLE x RENAME other.y"), [renamed("x", "other.y")]);
    assert_eq!(changes("ALTER TABLE x RENAME = y"), [renamed("x", "y")]);
    assert_eq!(changes("ALTER TABLE x RENAME AS y, FORCE"), [altered("x"), renamed("x", "y")]);
    let chain = [renamed("a", "b"), renamed("c", "a")];
    assert_eq!(changes("RENAME TABLE a TO b, c TO a"), chain);
    assert_eq!(changes("RENAME TABLES IF EXISTS a WAIT 5 TO b, `c` NOWAIT TO a;"), chain);
    assert_eq!(changes("RENAME TABLE o.a TO shop.b"), [renamed("o.a", "b")]);
}

#[test]
fn online_schema_changes_swap_tables() {
    let swap = |old: &str, new: &str| [renamed("stock", old), renamed(new, "stock")];
    assert_eq!(
        changes(
            "rename /* gh-ost */ table `shop`.`stock` to `shop`.`_stock_del`, \
             `shop`.`_stock_gho` to `shop`.`stock`"
        ),
        swap("_stock_del", "_stock_gho")
    );
    assert_eq!(
        changes(
            "RENAME TABLE `shop`.`stock` TO `shop`.`_stock_old`, `shop`.`_stock_new` TO \
             `shop`.`stock`"
        ),
        swap("_stock_old", "_stock_new")
    );
    assert_eq!(
        changes("drop /* gh-ost */ table if exists `shop`.`_stock_del`"),
        [dropped("_stock_del")]
    );
}

#[test]
fn tables_are_dropped_by_the_list() {
    let both = [dropped("stock"), dropped("other.b")];
    for text in [
        "DROP TABLE stock, other.b",
        "DROP TABLE IF EXISTS `stock`,`other`.`b` /* generated by server */",
        "drop tables stock , other . b cascade",
        "DROP TABLE stock, other.b WAIT 3;\0",
    ] {
        assert_eq!(changes(text), both, "{text}");
    }
}

#[test]
fn a_schema_goes_away_with_its_tables() {
    let gone = [Change::SchemaDropped("shop".into())];
    for text in [
        "DROP DATABASE shop",
        "drop schema if exists `shop`",
        "CREATE OR REPLACE DATABASE shop CHARACTER SET utf8mb4",
    ] {
        assert_eq!(changes(text), gone, "{text}");
    }
}

#[test]
fn a_schema_s_defaults_change() {
    let changed = [Change::SchemaAltered("shop".into())];
    for text in [
        "ALTER DATABASE shop CHARACTER SET latin1",
        "ALTER SCHEMA DEFAULT COLLATE = utf8mb4_bin",
        "ALTER DATABASE COLLATE utf8mb4_bin",
    ] {
        assert_eq!(changes(text), changed, "{text}");
    }
}

#[test]
fn truncating_takes_all_rows() {
    for text in ["TRUNCATE TABLE stock", "truncate `stock`", "TRUNCATE shop.stock NOWAIT"] {
        assert_eq!(changes(text), [Change::Truncated(table("stock"))], "{text}");
    }
}

#[test]
fn rows_come_and_go_with_partitions_and_tablespaces() {
    for text in [
        "ALTER TABLE stock DROP PARTITION p0, p1",
        "ALTER TABLE stock TRUNCATE PARTITION ALL",
        "ALTER TABLE stock DISCARD TABLESPACE",
        "ALTER TABLE stock IMPORT PARTITION p0 TABLESPACE",
    ] {
        let found = changes(text);
        assert!(found.contains(&moved("stock")), "{text}: {found:?}");
    }
    assert_eq!(
        changes("ALTER TABLE stock EXCHANGE PARTITION p WITH TABLE `o`.`u` WITHOUT VALIDATION"),
        [moved("stock"), moved("o.u")]
    );
    assert_eq!(
        changes("ALTER TABLE stock CONVERT PARTITION p TO TABLE u"),
        [moved("stock"), moved("u")]
    );
    assert_eq!(
        changes("ALTER TABLE stock CONVERT TABLE u TO PARTITION p VALUES LESS THAN (5)"),
        [moved("stock"), dropped("u")]
    );
}

#[test]
fn settings_for_one_statement_are_looked_through() {
    for text in [
        "SET STATEMENT max_statement_time=1000 FOR TRUNCATE stock",
        "set statement sql_mode='FOR', a=(SELECT 1 FOR UPDATE) for truncate table shop.stock",
    ] {
        assert_eq!(changes(text), [Change::Truncated(table("stock"))], "{text}");
    }
}

use testbed::MysqlOptions;

use super::{STOCK, Server};

/// A state, what makes it of a server that is as it must be, and what unmakes it.
type State = (&'static str, &'static str, &'static str);

const TABLES: [State; 6] = [
    (
        "no_table",
        "RENAME TABLE stock TO goods; CREATE TABLE other (item INT)",
        "RENAME TABLE goods TO stock; DROP TABLE other",
    ),
    ("near_table", "RENAME TABLE stock TO stocks", "RENAME TABLE stocks TO stock"),
    (
        "no_column",
        "ALTER TABLE stock RENAME COLUMN qty TO amount",
        "ALTER TABLE stock RENAME COLUMN amount TO qty",
    ),
    (
        "near_column",
        "ALTER TABLE stock RENAME COLUMN qty TO qtty",
        "ALTER TABLE stock RENAME COLUMN qtty TO qty",
    ),
    (
        "table_is_a_view",
        "RENAME TABLE stock TO t; CREATE VIEW stock AS SELECT * FROM t",
        "DROP VIEW stock; RENAME TABLE t TO stock",
    ),
    (
        "several_at_once",
        "ALTER TABLE stock RENAME COLUMN qty TO amount; SET GLOBAL binlog_format = STATEMENT;
         REVOKE REPLICATION SLAVE ON *.* FROM tail@'%'",
        "ALTER TABLE stock RENAME COLUMN amount TO qty; SET GLOBAL binlog_format = ROW;
         GRANT REPLICATION SLAVE ON *.* TO tail@'%'",
    ),
];

/// What is no obstacle, and is said all the same.
const WARNINGS: [State; 3] = [
    (
        "cascade",
        "CREATE TABLE product (id BIGINT PRIMARY KEY);
         ALTER TABLE stock ADD CONSTRAINT of_product FOREIGN KEY (item) REFERENCES product (id)
         ON DELETE CASCADE",
        "ALTER TABLE stock DROP FOREIGN KEY of_product; DROP TABLE product",
    ),
    (
        "no_primary_key",
        "ALTER TABLE stock DROP PRIMARY KEY",
        "ALTER TABLE stock ADD PRIMARY KEY (item)",
    ),
    ("myisam", "ALTER TABLE stock ENGINE = MyISAM", "ALTER TABLE stock ENGINE = InnoDB"),
];

const GRANTS: [State; 4] = [
    (
        "no_replication_slave",
        "REVOKE REPLICATION SLAVE ON *.* FROM tail@'%'",
        "GRANT REPLICATION SLAVE ON *.* TO tail@'%'",
    ),
    (
        "no_replication_client",
        "REVOKE REPLICATION CLIENT ON *.* FROM tail@'%'",
        "GRANT REPLICATION CLIENT ON *.* TO tail@'%'",
    ),
    (
        "no_select",
        "CREATE TABLE seen (id INT PRIMARY KEY); GRANT SELECT ON seen TO tail@'%';
         REVOKE SELECT ON shop.* FROM tail@'%'",
        "GRANT SELECT ON shop.* TO tail@'%'",
    ),
    (
        "no_select_of_a_column",
        "GRANT SELECT (item, qty) ON stock TO tail@'%'; REVOKE SELECT ON shop.* FROM tail@'%'",
        "GRANT SELECT ON shop.* TO tail@'%'",
    ),
];

#[test]
fn a_table_of_mysql_or_mariadb_that_will_not_do_says_why() {
    let options = MysqlOptions::default();
    for server in Server::each(&options, "a_table_of_mysql_or_mariadb_that_will_not_do") {
        for (name, make, unmake) in TABLES {
            server.sql(make);
            server.tells(name, 4);
            server.sql(unmake);
        }
        for (name, make, unmake) in WARNINGS {
            server.sql(make);
            server.tells(name, 0);
            server.sql(unmake);
        }
        server.tells("all_is_well", 0);
        let misspelt = STOCK.replace("shop.stock", "shpo.stock");
        server.tells_with("table_of_another_database", 4, &server.seller(&misspelt));
    }
}

#[test]
fn a_grant_of_mysql_or_mariadb_that_is_missing_says_which() {
    let options = MysqlOptions::default();
    for server in Server::each(&options, "a_grant_of_mysql_or_mariadb_that_is_missing") {
        for (name, make, unmake) in GRANTS {
            server.sql(make);
            server.tells(name, 4);
            server.sql(unmake);
        }
    }
}

//! Columns that are not written by whoever changes a row, and tables that change their columns.

use connector_api::Columns;
use testbed::{Mysql, MysqlOptions, all_mysql_versions, mysql_or_skip};

use crate::binlog::{Catalog, Recorded, capture, catalog, lines};
use crate::replica::Replica;

/// A server of each version whose log says all of columns.
fn each(test: &str, mut check: impl FnMut(&Mysql)) {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
        if let Some(server) = mysql_or_skip(version, &options, test) {
            check(&server);
        }
    }
}

/// What one sees of what happens to a table, whether the log says all of its columns or little.
fn seen(server: &Mysql, sql: &str) -> Vec<String> {
    let (create, changes) = sql.split_at(sql.find("insert into").unwrap());
    let [full, minimal] = ["FULL", "MINIMAL"].map(|metadata| {
        let set = format!("set global binlog_row_metadata = {metadata}");
        server.execute(&format!("{set}; drop table if exists lot, doc; {create}")).unwrap();
        let recorded = Recorded::of(server, || server.execute(changes).unwrap());
        let known = if metadata == "FULL" { Catalog::default() } else { catalog(server) };
        lines(&recorded.decode(capture(server, Columns::All), known).unwrap())
    });
    assert_eq!(full, minimal, "{}", server.version());
    full
}

#[test]
fn generated_columns_hold_what_select_says() {
    each("generated columns", |server| {
        let found = seen(
            server,
            "create table lot (id int primary key, qty int,
                 twice int generated always as (qty * 2) stored,
                 thrice int generated always as (qty * 3) virtual,
                 note varchar(20) generated always as (concat('n', qty)) virtual, z int);
             insert into lot (id, qty, z) values (1, 5, 9), (2, null, 8);
             update lot set qty = 6 where id = 1;
             delete from lot where id = 2",
        );
        let wanted = [
            "insert lot id=1 qty=5 twice=10 thrice=15 note='n5' z=9",
            "insert lot id=2 qty=null twice=null thrice=null note=null z=8",
            "update lot [id=1 qty=5 twice=10 thrice=15 note='n5' z=9] \
             id=1 qty=6 twice=12 thrice=18 note='n6' z=9",
            "delete lot [id=2 qty=null twice=null thrice=null note=null z=8]",
        ];
        assert_eq!(found, wanted, "{}", server.version());
    });
}

#[test]
fn what_an_index_computes_is_no_column_of_the_table() {
    each("functional indexes", |server| {
        if server.version().is_mariadb() {
            return;
        }
        let found = seen(
            server,
            "create table doc (id int primary key, body json, z int,
                 index by_name ((cast(body->>'$.name' as char(20)))),
                 index by_tag ((cast(body->'$.tags' as unsigned array))));
             insert into doc values (1, '{\"name\": \"x\", \"tags\": [3, 4]}', 7);
             update doc set z = 8",
        );
        let body = r#"body=json {"name": "x", "tags": [3, 4]}"#;
        let wanted = [
            format!("insert doc id=1 {body} z=7"),
            format!("update doc [id=1 {body} z=7] id=1 {body} z=8"),
        ];
        assert_eq!(found, wanted);
    });
}

#[test]
fn invisible_columns_are_there_by_their_names() {
    each("invisible columns", |server| {
        let found = seen(
            server,
            "create table lot (id int primary key, secret int invisible default 4, z int);
             insert into lot values (1, 9);
             update lot set secret = 5",
        );
        let wanted =
            ["insert lot id=1 secret=4 z=9", "update lot [id=1 secret=4 z=9] id=1 secret=5 z=9"];
        assert_eq!(found, wanted, "{}", server.version());
    });
}

#[test]
fn the_key_that_mysql_generates_is_a_column() {
    each("generated invisible keys", |server| {
        if server.version().is_mariadb() {
            return;
        }
        let found = seen(
            server,
            "set sql_generate_invisible_primary_key = 1;
             create table lot (qty int);
             insert into lot values (5), (5);
             delete from lot where my_row_id = 1",
        );
        let wanted = [
            "insert lot my_row_id=1u qty=5",
            "insert lot my_row_id=2u qty=5",
            "delete lot [my_row_id=1u qty=5]",
        ];
        assert_eq!(found, wanted);
    });
}

#[test]
fn rows_from_before_an_instant_change_hold_what_select_says() {
    each("instant changes", |server| {
        let recorded = Recorded::of(server, || {
            server
                .execute(
                    "create table lot (id int primary key, gone int, qty int);
                     insert into lot values (1, 10, 5), (2, 20, 6);
                     alter table lot add first_one int not null default 7 first,
                         algorithm = instant;
                     insert into lot values (8, 3, 30, 7);
                     update lot set qty = qty + 1;
                     alter table lot drop column gone, algorithm = instant;
                     alter table lot add note varchar(9) default 'none' after id,
                         algorithm = instant;
                     update lot set qty = qty + 1 where id <> 2;
                     insert into lot (id, qty) values (4, 8);
                     delete from lot where id = 3",
                )
                .unwrap();
        });
        let everything = capture(server, Columns::All);
        let batches = recorded.decode(everything, Catalog::default()).unwrap();
        let found = lines(&batches);
        // Nor does the log say what altering has made of rows that are there.
        let altered = "unreadable lot its rows were rewritten by ALTER TABLE, and the log does not \
                       say how";
        let wanted = [
            "insert lot id=1 gone=10 qty=5",
            "insert lot id=2 gone=20 qty=6",
            altered,
            "schema lot (first_one, id*, gone, qty)",
            "insert lot first_one=8 id=3 gone=30 qty=7",
            "update lot [first_one=7 id=1 gone=10 qty=5] first_one=7 id=1 gone=10 qty=6",
            "update lot [first_one=7 id=2 gone=20 qty=6] first_one=7 id=2 gone=20 qty=7",
            "update lot [first_one=8 id=3 gone=30 qty=7] first_one=8 id=3 gone=30 qty=8",
            altered,
            altered,
            "schema lot (first_one, id*, note, qty)",
            "update lot [first_one=7 id=1 note='none' qty=6] first_one=7 id=1 note='none' qty=7",
            "update lot [first_one=8 id=3 note='none' qty=8] first_one=8 id=3 note='none' qty=9",
            "insert lot first_one=7 id=4 note='none' qty=8",
            "delete lot [first_one=8 id=3 note='none' qty=9]",
        ];
        assert_eq!(found, wanted, "{}", server.version());
    });
}

#[test]
fn a_table_is_kept_by_its_changes_alone_whatever_its_columns_are() {
    each("a copy of a table", |server| {
        let sql = "create table goods (code varchar(20) character set latin1, place int,
                 price decimal(12,4), unit char(3) character set ucs2,
                 state enum('new','sold out'), flags set('a','b'), at datetime(3),
                 changed timestamp(6) default current_timestamp(6) on update current_timestamp(6),
                 picture varbinary(9), many bigint unsigned, primary key (place, code));
             insert into goods (code, place, price, unit, state, flags, at, picture, many)
             values ('ä', 1, -0.5, 'kg', 'new', 'a,b', '2026-01-31 12:00:00.5', x'00', 3),
                 ('b', 1, 12345678.9, 'm', 'sold out', '', null, null, 18446744073709551615);
             update goods set code = 'c', price = price * 2 where code = 'b';
             update goods set place = place + 1, many = many - 1;
             insert into goods (code, place) values ('d', 4);
             delete from goods where code = 'ä';
             replace into goods (code, place, price) values ('d', 4, 9);
             insert into goods (code, place, price) values ('d', 4, 10)
                 on duplicate key update price = 11, at = '2020-01-01'";
        let recorded = Recorded::of(server, || server.execute(sql).unwrap());
        let known = [Catalog::default(), catalog(server)];
        for catalog in known {
            let batches = recorded.decode(capture(server, Columns::All), catalog).unwrap();
            Replica::of(&batches).assert_same(server, "goods");
        }
    });
}

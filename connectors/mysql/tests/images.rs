//! What `binlog_row_image` leaves out is absent, and never taken for NULL.

use connector_api::{Columns, Connector as _};
use testbed::{Mysql, MysqlOptions, all_mysql_versions, mysql_or_skip};

use crate::binlog::{Catalog, Recorded, capture, lines};
use crate::replica::Replica;
use crate::support::{Shop, within};

/// A table with a key, one with another that serves as one, and one with none.
const TABLES: &str = "
    create table keyed (id int primary key, qty int, note varchar(9), big text, z int default 7);
    create table other (qty int, code int not null, big blob, unique (code));
    create table bare (qty int, note varchar(9));";

const WORK: &str = "
    insert into keyed (id, qty, big) values (1, 5, 'text');
    insert into keyed values (2, null, 'a', null, 8);
    update keyed set qty = 6 where id = 1;
    update keyed set note = null, big = 'other' where id = 2;
    update keyed set id = 3 where id = 2;
    delete from keyed where id = 1;
    insert into other values (1, 11, x'00'), (2, 12, null);
    update other set qty = 3 where code = 12;
    delete from other where code = 11;
    insert into bare values (1, 'a'), (2, 'b');
    update bare set note = 'c' where qty = 2;
    delete from bare where qty = 1;";

const FULL: &[&str] = &[
    "insert keyed id=1 qty=5 note=null big='text' z=7",
    "insert keyed id=2 qty=null note='a' big=null z=8",
    "update keyed [id=1 qty=5 note=null big='text' z=7] id=1 qty=6 note=null big='text' z=7",
    "update keyed [id=2 qty=null note='a' big=null z=8] id=2 qty=null note=null big='other' z=8",
    "update keyed [id=2 qty=null note=null big='other' z=8] \
     id=3 qty=null note=null big='other' z=8",
    "delete keyed [id=1 qty=6 note=null big='text' z=7]",
    "insert other qty=1 code=11 big=bytes 00",
    "insert other qty=2 code=12 big=null",
    "update other [qty=2 code=12 big=null] qty=3 code=12 big=null",
    "delete other [qty=1 code=11 big=bytes 00]",
    "insert bare qty=1 note='a'",
    "insert bare qty=2 note='b'",
    "update bare [qty=2 note='b'] qty=2 note='c'",
    "delete bare [qty=1 note='a']",
];

const NOBLOB: &[&str] = &[
    "insert keyed id=1 qty=5 note=null big='text' z=7",
    "insert keyed id=2 qty=null note='a' big=null z=8",
    "update keyed [id=1 qty=5 note=null big=~ z=7] id=1 qty=6 note=null big=~ z=7",
    "update keyed [id=2 qty=null note='a' big=~ z=8] id=2 qty=null note=null big='other' z=8",
    "update keyed [id=2 qty=null note=null big=~ z=8] id=3 qty=null note=null big=~ z=8",
    "delete keyed [id=1 qty=6 note=null big=~ z=7]",
    "insert other qty=1 code=11 big=bytes 00",
    "insert other qty=2 code=12 big=null",
    "update other [qty=2 code=12 big=~] qty=3 code=12 big=~",
    "delete other [qty=1 code=11 big=~]",
    "insert bare qty=1 note='a'",
    "insert bare qty=2 note='b'",
    "update bare [qty=2 note='b'] qty=2 note='c'",
    "delete bare [qty=1 note='a']",
];

const MINIMAL: &[&str] = &[
    "insert keyed id=1 qty=5 note=~ big='text' z=~",
    "insert keyed id=2 qty=null note='a' big=null z=8",
    "update keyed [id=1 qty=~ note=~ big=~ z=~] id=~ qty=6 note=~ big=~ z=~",
    "update keyed [id=2 qty=~ note=~ big=~ z=~] id=~ qty=~ note=null big='other' z=~",
    "update keyed [id=2 qty=~ note=~ big=~ z=~] id=3 qty=~ note=~ big=~ z=~",
    "delete keyed [id=1 qty=~ note=~ big=~ z=~]",
    "insert other qty=1 code=11 big=bytes 00",
    "insert other qty=2 code=12 big=null",
    "update other [qty=~ code=12 big=~] qty=3 code=~ big=~",
    "delete other [qty=~ code=11 big=~]",
    "insert bare qty=1 note='a'",
    "insert bare qty=2 note='b'",
    "update bare [qty=2 note='b'] qty=~ note='c'",
    "delete bare [qty=1 note='a']",
];

const FULL_NODUP: &[&str] = &[
    "insert keyed id=1 qty=5 note=null big='text' z=7",
    "insert keyed id=2 qty=null note='a' big=null z=8",
    "update keyed [id=1 qty=5 note=null big='text' z=7] id=~ qty=6 note=~ big=~ z=~",
    "update keyed [id=2 qty=null note='a' big=null z=8] id=~ qty=~ note=null big='other' z=~",
    "update keyed [id=2 qty=null note=null big='other' z=8] id=3 qty=~ note=~ big=~ z=~",
    "delete keyed [id=1 qty=6 note=null big='text' z=7]",
    "insert other qty=1 code=11 big=bytes 00",
    "insert other qty=2 code=12 big=null",
    "update other [qty=2 code=12 big=null] qty=3 code=~ big=~",
    "delete other [qty=1 code=11 big=bytes 00]",
    "insert bare qty=1 note='a'",
    "insert bare qty=2 note='b'",
    "update bare [qty=2 note='b'] qty=2 note='c'",
    "delete bare [qty=1 note='a']",
];

/// The changes of [`WORK`] under an image, on every server that has it.
fn under(image: &str, check: impl Fn(&Mysql, Vec<String>)) {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
        let test = format!("the row image {image}");
        let Some(server) = mysql_or_skip(version, &options, &test) else { continue };
        if server.execute(&format!("set binlog_row_image = {image}")).is_err() {
            assert_eq!(image, "FULL_NODUP", "{version}");
            continue;
        }
        let sql = format!("{TABLES} set binlog_row_image = {image}; {WORK}");
        let recorded = Recorded::of(&server, || server.execute(&sql).unwrap());
        let everything = capture(&server, Columns::All);
        let batches = recorded.decode(everything, Catalog::default()).unwrap();
        check(&server, lines(&batches));
        // What is not in an image is as it was before.
        let replica = Replica::of(&batches);
        replica.assert_same(&server, "other");
        replica.assert_same(&server, "bare");
    }
}

#[test]
fn a_full_image_has_every_column() {
    under("FULL", |server, found| assert_eq!(found, FULL, "{}", server.version()));
}

#[test]
fn an_image_without_blobs_has_those_that_changed() {
    under("NOBLOB", |server, found| assert_eq!(found, NOBLOB, "{}", server.version()));
}

#[test]
fn a_minimal_image_has_the_key_before_and_what_was_written_after() {
    under("MINIMAL", |server, found| {
        // Where nothing is a key, MariaDB repeats what was not written.
        let repeated = |line: &str| match server.version().is_mariadb() {
            true => line.replace("qty=~ note='c'", "qty=2 note='c'"),
            false => line.to_owned(),
        };
        let wanted: Vec<String> = MINIMAL.iter().map(|line| repeated(line)).collect();
        assert_eq!(found, wanted, "{}", server.version());
    });
}

#[test]
fn an_image_without_duplicates_has_all_before_and_what_changed_after() {
    under("FULL_NODUP", |server, found| assert_eq!(found, FULL_NODUP, "{}", server.version()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_says_which_columns_an_update_may_leave_out() {
    let of_image = [
        ("FULL", ""),
        ("NOBLOB", "keyed.big other.big"),
        ("MINIMAL", "keyed.qty keyed.note keyed.big keyed.z other.qty other.big"),
    ];
    for version in all_mysql_versions() {
        for (image, wanted) in of_image {
            let options = MysqlOptions::default().setting("binlog_row_image", image);
            let test = "a_survey_says_which_columns_an_update_may_leave_out";
            let Some(shop) = Shop::start_with(version, &options, test) else { continue };
            shop.sql(TABLES);
            let tables = shop.tables(&["keyed", "other", "bare"]);
            let connector = shop.connector();
            let survey = within("a survey", connector.survey(&tables, None)).await.unwrap();
            let omitted = survey.tables.iter().flat_map(|table| {
                let columns = table.columns.iter().filter(|column| column.omitted);
                columns.map(|column| format!("{}.{}", table.name.table, column.name))
            });
            let mut omitted: Vec<String> = omitted.collect();
            let mut wanted: Vec<&str> = wanted.split_whitespace().collect();
            omitted.sort();
            wanted.sort_unstable();
            assert_eq!(omitted, wanted, "{version} {image}");
        }
    }
}

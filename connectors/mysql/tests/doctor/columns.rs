use std::fs::File;

use connector_api::{
    Batch, BatchBuilder, Capture, CaptureTable, Columns, Lineage, Position, ResumePoint, RowImage,
    SourceEvent, TableLayout, TableName,
};
use connector_mysql::decode::{Catalog, Decoded, Decoder};
use connector_mysql::doctor;
use connector_mysql::log::LogFile;
use connector_mysql::session::SqlClient;
use testbed::{Mysql, MysqlVersion, all_mysql_versions};

use super::{as_user, controlled, facts, grant_all, start};

/// A table whose columns the log and the catalog might number otherwise.
struct Table {
    name: &'static str,
    sql: &'static str,
    /// A row with `id` 1 and `qty` 5, all columns, where the server has such tables at all.
    mysql: Option<&'static str>,
    mariadb: Option<&'static str>,
}

const TABLES: [Table; 5] = [
    Table {
        name: "computed",
        sql: "create table computed (id int primary key, twice int as (qty * 2) virtual, qty int,
                  thrice int as (qty * 3) stored)",
        mysql: Some("id=Int(1) twice=Int(10) qty=Int(5) thrice=Int(15)"),
        mariadb: Some("id=Int(1) twice=Int(10) qty=Int(5) thrice=Int(15)"),
    },
    Table {
        name: "hidden",
        sql: "create table hidden (id int primary key, secret int invisible default 7, qty int)",
        mysql: Some("id=Int(1) secret=Int(7) qty=Int(5)"),
        mariadb: Some("id=Int(1) secret=Int(7) qty=Int(5)"),
    },
    Table {
        name: "functional",
        sql: "create table functional (id int primary key, key half ((qty / 2)), qty int)",
        mysql: Some("id=Int(1) qty=Int(5)"),
        mariadb: None,
    },
    Table {
        name: "keyless",
        sql: "create table keyless (id int, qty int)",
        mysql: Some("my_row_id=UInt(1) id=Int(1) qty=Int(5)"),
        mariadb: Some("id=Int(1) qty=Int(5)"),
    },
    Table {
        name: "hashed",
        sql: "create table hashed (id int primary key, long_one text unique, other text unique,
                  qty int)",
        mysql: None,
        mariadb: Some(
            "id=Int(1) long_one=Null other=Null qty=Int(5) DB_ROW_HASH_1=Null DB_ROW_HASH_2=Null",
        ),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_numbered_as_the_log_numbers_them_with_nothing_but_select() {
    for version in all_mysql_versions() {
        let options = match version.is_mariadb() {
            true => controlled(),
            false => controlled()
                .setting("sql_generate_invisible_primary_key", "ON")
                .setting("show_gipk_in_create_table_and_information_schema", "OFF"),
        };
        let Some(server) = start(version, &options, "numbers of columns") else { continue };
        grant_all(&server);
        let there = TABLES.iter().filter_map(|table| Some((table, row_of(table, version)?)));
        let there: Vec<(&Table, &str)> = there.collect();
        there.iter().for_each(|(table, _)| server.execute(table.sql).unwrap());
        // What a table was when it was made is not looked up again behind it in the log.
        server.execute("flush binary logs").unwrap();
        for (Table { name, .. }, _) in &there {
            let changes = format!(
                "insert into {name} (id, qty) values (1, 5); update {name} set qty = 6 where id = 1;
                 delete from {name} where id = 1"
            );
            server.execute(&changes).unwrap();
        }
        let tail = as_user(&server, "tail");
        let name = TableName::new("shop", "*");
        let all = Capture { tables: vec![CaptureTable { name, columns: Columns::All }] };
        let mut client = SqlClient::connect(&tail).await.unwrap();
        let mut layouts = Vec::new();
        for table in facts(&tail, &all).await.tables() {
            let columns = doctor::columns(&mut client, &table.name).await.unwrap().unwrap();
            layouts.push(TableLayout { name: table.name, id: None, columns });
        }
        client.close().await;
        let mut expected = Vec::new();
        for (Table { name, .. }, row) in there {
            let after =
                row.replace("10", "12").replace("15", "18").replace("qty=Int(5", "qty=Int(6");
            expected.push(format!("insert {name} - -> {row}"));
            expected.push(format!("update {name} {row} -> {after}"));
            expected.push(format!("delete {name} {after} -> -"));
        }
        assert_eq!(changes(&server, &all, &layouts), expected, "{version}");
    }
}

fn row_of(table: &Table, version: MysqlVersion) -> Option<&'static str> {
    if version.is_mariadb() { table.mariadb } else { table.mysql }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_or_not_seen_as_a_whole_has_no_columns() {
    for version in all_mysql_versions() {
        let Some(server) = start(version, &controlled(), "no columns") else { continue };
        server.execute("grant select (id, qty) on stock to tail@'%'").unwrap();
        let mut client = SqlClient::connect(&as_user(&server, "tail")).await.unwrap();
        for table in ["stock", "nowhere"] {
            let name = TableName::new("shop", table);
            assert_eq!(doctor::columns(&mut client, &name).await.unwrap(), None, "{table}");
        }
        client.close().await;
    }
}

/// A line for each change in the last file of the log.
fn changes(server: &Mysql, capture: &Capture, layouts: &[TableLayout]) -> Vec<String> {
    let file = server.query("show binary logs").unwrap().pop().unwrap().remove(0).unwrap();
    let path = server.data_dir().unwrap().join(&file);
    let mut log = LogFile::open(File::open(path).unwrap()).unwrap();
    let from = ResumePoint::new(
        Lineage::new("mysql/11111111-1111-1111-1111-111111111111"),
        Position::new(format!("1/{file}/4/1700000000")),
        capture.clone(),
    );
    let catalog = Catalog::new(layouts, false);
    let mut decoder = Decoder::new(&from, capture.clone(), catalog).unwrap();
    let mut out = BatchBuilder::new(&from.position);
    while let Some(frame) = log.read_event().unwrap() {
        let done = decoder.event(&frame, &mut out, &mut |_| panic!("too much")).unwrap();
        assert_eq!(done, Decoded::Whole);
    }
    let batch = out.take();
    batch.events().iter().filter_map(|event| line(&batch, event)).collect()
}

fn line(batch: &Batch, event: &SourceEvent) -> Option<String> {
    match event {
        SourceEvent::Row(row) => {
            let table = batch.table(row.table);
            let image = |image: Option<RowImage<'_>>| {
                let Some(image) = image else { return "-".to_owned() };
                let cells = table.columns.iter().zip(image.values());
                let cells = cells.map(|(column, value)| format!("{}={value:?}", column.name));
                cells.collect::<Vec<_>>().join(" ")
            };
            let (before, after) = (image(batch.before(row)), image(batch.after(row)));
            Some(format!("{} {} {before} -> {after}", row.op.as_str(), table.name.table))
        }
        SourceEvent::Unreadable { table, reason, .. } => {
            Some(format!("{}: {reason}", batch.table(*table).name))
        }
        _ => None,
    }
}

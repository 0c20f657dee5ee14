use std::fs::File;

use connector_api::{BatchBuilder, Capture, CaptureTable, Columns, Position, ResumePoint};
use connector_api::{SourceEvent, TableName};
use connector_mysql::decode::{Catalog, Decoder};
use connector_mysql::doctor;
use connector_mysql::log::{LogFile, Unpacker};
use connector_mysql::session::SqlClient;
use testbed::{Mysql, all_mysql_versions};

use super::{as_user, controlled, facts, grant_all, start};

/// Tables whose columns the log and the catalog may number otherwise.
const TABLES: [(&str, &str, bool); 6] = [
    ("plain", "create table plain (id int primary key, sku varchar(9), qty int)", true),
    (
        "generated",
        "create table generated (id int primary key, twice int as (qty * 2) virtual, qty int,
             thrice int as (qty * 3) stored)",
        true,
    ),
    ("hidden", "create table hidden (id int primary key, secret int invisible default 7, qty int)",
     true),
    (
        "functional",
        "create table functional (id int primary key, qty int, key half ((qty / 2)), last int)",
        false,
    ),
    (
        "versioned",
        "create table versioned (id int primary key, qty int) with system versioning",
        true,
    ),
    ("hashed", "create table hashed (id int primary key, qty int, long_one text unique)", true),
];

#[tokio::test(flavor = "multi_thread")]
async fn explore() {
    for version in all_mysql_versions() {
        let Some(server) = start(version, &controlled(), "columns") else { continue };
        grant_all(&server);
        if !version.is_mariadb() {
            server.execute("set persist sql_generate_invisible_primary_key = on; set persist show_gipk_in_create_table_and_information_schema = off; create table gipk (qty int); insert into gipk values (5)").unwrap_or_else(|e| println!("{e}"));
            server.execute("create table gipk (qty int); insert into gipk values (5)").unwrap_or_else(|e| println!("{e}"));
        }
        for (name, sql, _) in TABLES {
            if let Err(e) = server.execute(sql) { println!("{version} {name}: {e}"); continue }
            server.execute(&format!("insert into {name} (id, qty) values (1, 5); update {name} set qty = 6")).unwrap();
        }
        let tail = as_user(&server, "tail");
        let all = Capture { tables: vec![CaptureTable { name: TableName::new("shop", "*"), columns: Columns::All }] };
        let tables = facts(&tail, &all).await.tables();
        println!("{version}");
        for table in &tables {
            println!("  {} {:?} {:?} {:?}", table.name, table.primary_key, table.identity, table.columns.iter().map(|c| format!("{} {} {}", c.name, c.type_name, c.logged)).collect::<Vec<_>>());
        }
        let mut client = SqlClient::connect(&tail).await.unwrap();
        let mut catalog = Catalog::default();
        for table in &tables {
            let c = doctor::columns(&mut client, &table.name).await.unwrap();
            println!("  {} {:?}", table.name, c.as_ref().map(|c| c.iter().map(|c| c.name.clone()).collect::<Vec<_>>()));
            if let Some(c) = c { catalog.define(table.name.clone(), c); }
        }
        println!("{}", lines(&server, &all, catalog).join("\n"));
        client.close().await;
    }
}

fn lines(server: &Mysql, capture: &Capture, catalog: Catalog) -> Vec<String> {
    let file = server.query("show binary logs").unwrap().pop().unwrap().remove(0).unwrap();
    let mut log = LogFile::open(File::open(server.data_dir().unwrap().join(&file)).unwrap()).unwrap();
    let from = ResumePoint {
        lineage: connector_api::Lineage::new("mysql/11111111-1111-1111-1111-111111111111"),
        position: Position::new(format!("1/{file}/4/1700000000")),
        partial: None,
        capture: capture.clone(),
        coverage: String::new(),
    };
    let mut decoder = Decoder::new(&from, capture.clone(), catalog).unwrap();
    let mut out = BatchBuilder::new(&from.position);
    let mut unpacker = Unpacker::default();
    while let Some(frame) = log.read_event().unwrap() {
        if let Err(e) = decoder.event(&frame, &mut unpacker, &mut out, &mut |_| panic!("small")) { println!("ERR {e}"); break }
    }
    let batch = out.take();
    batch.events().iter().filter_map(|event| match event {
        SourceEvent::Row(row) => Some(format!("    {} {} {:?} {:?}", batch.table(row.table).name, row.op.as_str(), batch.table(row.table).columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>(), batch.after(row).map(|i| i.values().map(|v| format!("{v:?}")).collect::<Vec<_>>()))),
        SourceEvent::Unreadable { table, reason, .. } => Some(format!("    UNREADABLE {} {reason}", batch.table(*table).name)),
        _ => None,
    }).collect()
}

use std::time::Duration;

use connector_api::{ChunkRequest, Comparison, Condition, Fault, Literal, TableName};

use super::*;
use crate::support::shelf::{Shelf, lines};

/// What the servers have read to give rows in the order of an index.
fn steps(shop: &Shop) -> u64 {
    let sql = "select sum(variable_value) from performance_schema.global_status
        where variable_name in ('Handler_read_next', 'Handler_read_rnd_next', 'Handler_read_prev')";
    let sql = match shop.is_mariadb() {
        true => sql.replace("performance_schema.global_status", "information_schema.global_status"),
        false => sql.to_owned(),
    };
    let text = shop.server.value(&sql).unwrap();
    text.parse::<f64>().unwrap() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_a_table_is_gone_through_once_whatever_its_key() {
    for shop in each("a table is gone through once", &[]) {
        let numbers =
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)";
        let tables = [
            ("one", "id int primary key", "i"),
            ("two", "a int, b int, primary key (a, b)", "1, i"),
            ("three", "a char(3), b int, c varchar(9), primary key (a, b, c)", "'x', i div 9, i"),
            ("text", "a varchar(20) primary key", "concat('k', i)"),
            ("uniq", "a int, b varchar(9) not null, unique (b)", "1, i"),
        ];
        for (name, columns, values) in tables {
            let depth = match shop.is_mariadb() {
                true => "set max_recursive_iterations = 9999;",
                false => "set cte_max_recursion_depth = 9999;",
            };
            shop.sql(&format!(
                "{depth} create table {name} ({columns});
                 insert into {name} {numbers} select {values} from n; analyze table {name}"
            ));
            let mut shelf = Shelf::open(&shop).await;
            let before = steps(&shop);
            let rows = shelf.rows(name, &["a", "b", "c", "id"], 100).await;
            let taken = steps(&shop) - before;
            assert_eq!(rows.len(), 4000, "{name} of {}", shop.server.version());
            // The catalog is asked besides, for each chunk the same.
            assert!(taken < 40_000, "{name} of {}: {taken} steps", shop.server.version());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_true_of_few_rows_does_not_make_one_chunk_go_through_all() {
    for shop in each("a filter that is true of few rows", &[]) {
        let rows: Vec<String> = (0..3000).map(|id| format!("({id},{},'n')", id % 1000)).collect();
        shop.sql(&format!("insert into stock values {}; analyze table stock", rows.join(",")));
        let mut shelf = Shelf::open(&shop).await;
        shelf.filter = Some(Condition::Compare {
            column: "qty".into(),
            comparison: Comparison::Equal,
            literal: Literal::Number("500".into()),
        });
        let before = steps(&shop);
        let chunks = shelf.chunks("stock", &["id"], 10).await;
        let taken = steps(&shop) - before;
        let found: Vec<String> = chunks.iter().flat_map(lines).collect();
        assert_eq!(found, ["Int(500)", "Int(1500)", "Int(2500)"]);
        assert!((15..30).contains(&chunks.len()), "{} chunks", chunks.len());
        assert!(taken < 20_000, "{}: {taken} steps", shop.server.version());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_for_a_primary_key_gives_every_row_once() {
    for shop in each("what stands in for a primary key", &[]) {
        let mut tables = vec![
            ("uniq", "a int null, b int not null, c int not null, unique (a), unique (b, c)"),
            ("start", "a varchar(90), b int, primary key (a(3))"),
            ("label", "a enum('z','y','x') not null, b int not null, unique (a, b)"),
        ];
        if !shop.is_mariadb() {
            tables.push(("down", "a int, b int, primary key (a desc, b)"));
            tables.push((
                "dark",
                "b int not null, c int not null, unique (c), unique a (b) invisible",
            ));
        }
        for (name, columns) in tables {
            shop.sql(&format!("create table {name} ({columns})"));
            let row = |nth: i32| match name {
                "uniq" => format!("(null, {}, {})", nth % 3, nth),
                "start" => format!("('{:03} and more', {nth})", nth),
                "label" => format!("({}, {nth})", nth % 3 + 1),
                "dark" => format!("({nth}, {})", -nth),
                _ => format!("({}, {nth})", nth % 4),
            };
            let rows: Vec<String> = (0..50).map(row).collect();
            shop.sql(&format!("insert into {name} values {}", rows.join(",")));
            let mut shelf = Shelf::open(&shop).await;
            for size in [1, 7, 100] {
                let chunks = shelf.chunks(name, &["a", "b", "c"], size).await;
                // Beginnings of texts give no order: each chunk would sort what is left.
                assert!(name != "start" || chunks.len() == 1, "{} chunks", chunks.len());
                let mut found: Vec<String> = chunks.iter().flat_map(lines).collect();
                found.sort();
                let count = found.len();
                found.dedup();
                let place = format!("{name} of {} by {size}", shop.server.version());
                assert_eq!((count, found.len()), (50, 50), "{place}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_mysql_generates_is_a_key() {
    for shop in each("a generated key", &[]).iter().filter(|shop| !shop.is_mariadb()) {
        shop.sql(
            "set sql_generate_invisible_primary_key = 1;
             create table lot (qty int);
             insert into lot values (5), (5), (6)",
        );
        let mut shelf = Shelf::open(shop).await;
        let chunk = shelf.chunk("lot", &["qty", "my_row_id"], None, 2).await;
        assert_eq!(lines(&chunk), ["UInt(1) Int(5)", "UInt(2) Int(5)"]);
        let chunk = shelf.chunk("lot", &["qty"], chunk.next.as_ref(), 2).await;
        assert_eq!((lines(&chunk), chunk.next), (vec!["Int(6)".to_owned()], None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_gives_every_row_once_whatever_the_server_is_set_to() {
    let settings = [
        ("autocommit", "0"),
        ("sql_mode", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH"),
        ("init_connect", "SET sql_select_limit = 3, sql_big_selects = 0"),
    ];
    for shop in each("every engine", &settings) {
        let partitions = "partition by hash (a) partitions 4";
        let mut tables = vec![
            ("held", "primary key (a)", "engine = MEMORY", ""),
            ("sheet", "key (a)", "engine = MyISAM", ""),
            ("parts", "primary key (a)", "engine = InnoDB", partitions),
        ];
        if shop.is_mariadb() {
            tables.push(("air", "primary key (a)", "engine = Aria", ""));
        }
        for (name, key, engine, rest) in tables {
            shop.sql(&format!("create table {name} (a int, c char(9), {key}) {engine} {rest}"));
            let rows: Vec<String> = (0..50).map(|nth| format!("({nth}, 'n{nth}')")).collect();
            shop.sql(&format!("insert into {name} values {}; commit", rows.join(",")));
            let mut shelf = Shelf::open(&shop).await;
            let mut found = shelf.rows(name, &["a", "c"], 7).await;
            found.sort();
            found.dedup();
            assert_eq!(found.len(), 50, "{name} of {}", shop.server.version());
            assert_eq!(found[0], "Int(0) Text(\"n0\")");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_without_a_key_is_refused_with_its_size_and_what_to_do() {
    for shop in each("a large table without a key", &[]) {
        let rows = ["(repeat('x', 10000000))"; 8].join(",");
        shop.sql(&format!(
            "create table heap (note longblob); insert into heap values {rows}; analyze table heap"
        ));
        let mut shelf = Shelf::open(&shop).await;
        let error = shelf.try_chunk("heap", &["note"], None, 10).await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains("shop.heap") && told.contains("MiB"), "{told}");
        let Fault::Operator { fix } = error.fault() else { panic!("{error:?}") };
        assert!(fix.starts_with("ALTER TABLE shop.heap ADD PRIMARY KEY"), "{fix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_numbers_without_a_key_is_measured_by_the_memory_it_takes() {
    for shop in each("numbers without a key", &[]) {
        // In memory each of them takes as much as sixteen of them on disk.
        let names: Vec<String> = (0..600).map(|nth| format!("c{nth}")).collect();
        let columns = names.iter().map(|name| format!("{name} tinyint not null default 1"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        shop.sql(&format!("create table counts (n int, {columns}) engine = MyISAM"));
        let rows: Vec<String> = (0..8000).map(|nth| format!("({nth})")).collect();
        shop.sql(&format!("insert into counts (n) values {}", rows.join(",")));
        let mut shelf = Shelf::open(&shop).await;
        let all: Vec<&str> = names.iter().map(|name| &**name).collect();
        let error = shelf.try_chunk("counts", &all, None, 10).await.unwrap_err();
        assert!(error.to_string().contains("holds more than 64 MiB in memory"), "{error}");
        let few = shelf.chunk("counts", &["n"], None, 10).await;
        assert_eq!(lines(&few).len(), 8000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_ends_at_its_bytes_and_goes_on_behind_them() {
    for shop in each("a chunk ends at its bytes", &[]) {
        shop.sql("create table fat (id int primary key, note longtext)");
        for id in 0..6 {
            shop.sql(&format!("insert into fat values ({id}, repeat('x', 700000))"));
        }
        let mut shelf = Shelf::open(&shop).await;
        let chunks = shelf.chunks("fat", &["id", "note"], 1000).await;
        let sizes: Vec<usize> = chunks.iter().map(|chunk| lines(chunk).len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 6);
        assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_altered_between_chunks_is_read_in_its_new_shape() {
    for shop in each("altered between chunks", &[]) {
        shop.sql("insert into stock values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')");
        let mut shelf = Shelf::open(&shop).await;
        let wanted = ["id", "qty", "more"];
        let chunk = shelf.chunk("stock", &wanted, None, 1).await;
        assert_eq!(lines(&chunk), ["Int(1) Int(1)"]);
        shop.sql("alter table stock add more int default 7, modify qty varchar(9)");
        let chunk = shelf.chunk("stock", &wanted, chunk.next.as_ref(), 1).await;
        assert_eq!(lines(&chunk), ["Int(2) Text(\"2\") Int(7)"]);
        shop.sql("alter table stock drop more, drop primary key, add primary key (qty)");
        let rest = shelf.chunk("stock", &wanted, chunk.next.as_ref(), 5).await;
        // By another key, of which there is no place yet: from the beginning.
        assert_eq!(lines(&rest).len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_several_packets_is_read_whole() {
    const PACKET: usize = 0xff_ffff;
    for shop in each("rows of several packets", &[("max_allowed_packet", "67108864")]) {
        shop.sql("create table huge (id int primary key, note longtext)");
        // With one that ends where its packet does.
        let sizes = [PACKET - 10, 18_000_000, 5];
        for (id, size) in sizes.iter().enumerate() {
            shop.sql(&format!("insert into huge values ({id}, repeat(char(65 + {id}), {size}))"));
        }
        let mut shelf = Shelf::open(&shop).await;
        let rows = shelf.rows("huge", &["id", "note"], 100).await;
        assert_eq!(rows.len(), sizes.len());
        for (id, row) in rows.iter().enumerate() {
            assert!(row.starts_with(&format!("Int({id}) Text(")), "{id}");
            let letters = row.bytes().filter(|byte| usize::from(*byte) == 65 + id).count();
            assert_eq!(letters, sizes[id], "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_given_up_leaves_nothing_to_the_next_one() {
    for shop in each("a read that is given up", &[]) {
        let values: Vec<String> =
            (0..500).map(|id| format!("({id}, 1, repeat('x', 500))")).collect();
        shop.sql(&format!("insert into stock values {}", values.join(",")));
        let mut shelf = Shelf::open(&shop).await;
        let columns = ["id".to_owned(), "note".to_owned()];
        let table = TableName::new("shop", "stock");
        for patience in 0..40 {
            let request = ChunkRequest {
                table: &table,
                columns: &columns,
                filter: None,
                after: None,
                rows: 500,
            };
            let patience = Duration::from_micros(250 * patience);
            let _ = tokio::time::timeout(patience, shelf.reader.chunk(&request)).await;
        }
        assert_eq!(shelf.rows("stock", &["id", "note"], 100).await.len(), 500);
    }
}

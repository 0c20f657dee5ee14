//! A stream of a real server: what it confirms, what it survives, how it ends.

use std::time::Duration;

use connector_api::{
    Batch, Capture, ChangeStream, Connector as _, Error, Fault, Lineage, Op, ResumePoint,
    SourceEvent, Value,
};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};
use testbed::{PgVersion, Postgres, PostgresOptions, StopMode, postgres_or_skip};

use crate::support::certificates::Authority;
use crate::support::{LIMIT, config, point, server, tables, within};

const SHOP: &str = "
    create table stock (id bigint primary key, on_hand int, note text);
    create table orders (id bigint primary key, note text);
    create publication tailstock for table stock;
";
const SLOT: &str = "select pg_create_logical_replication_slot('acme', 'pgoutput')";
const CONFIRMED: &str = "(select confirmed_flush_lsn from pg_replication_slots)";

/// A server with a shop and a slot.
fn shop(options: PostgresOptions, test: &str) -> Option<Postgres> {
    let server = server(options.controlled(), test)?;
    server.execute(SHOP).unwrap();
    server.value(SLOT).unwrap();
    Some(server)
}

fn plain(server: &Postgres) -> PostgresConfig {
    let url = server.url("postgres", server.database());
    let mut config = config(&format!("{url}?sslmode=disable"));
    config.slot = Slot::Named("acme".to_owned());
    config
}

fn confirmed(server: &Postgres) -> String {
    server.value(&format!("select {CONFIRMED}")).unwrap()
}

/// Where the slot stands, in this server's log.
fn begins(server: &Postgres, capture: &Capture) -> ResumePoint {
    let system = "select system_identifier::text from pg_control_system()";
    let lineage = format!("{}/1/acme", server.value(system).unwrap());
    ResumePoint { lineage: Lineage::new(lineage), ..point(&confirmed(server), capture) }
}

async fn open(server: &Postgres, config: &PostgresConfig) -> Box<dyn ChangeStream> {
    let capture = tables(&["stock"]);
    let connector = PostgresConnector::new(config.clone());
    let from = begins(server, &capture);
    within("open", connector.open(from, capture)).await.unwrap()
}

async fn read(stream: &mut Box<dyn ChangeStream>) -> Result<Batch, Error> {
    within("a batch", stream.read()).await
}

/// The `id` of every row in the batch.
fn ids(batch: &Batch) -> Vec<i64> {
    let rows = batch.events().iter().filter_map(|event| match event {
        SourceEvent::Row(row) => Some(row),
        _ => None,
    });
    let image = |row| batch.after(row).or(batch.before(row)).unwrap();
    let id = |value| if let Value::Int(id) = value { id } else { panic!("{value:?}") };
    rows.map(|row| id(image(row).get(0))).collect()
}

/// Reads until `count` rows have come; their ids.
async fn read_rows(stream: &mut Box<dyn ChangeStream>, count: usize) -> Vec<i64> {
    let mut read_ids = Vec::new();
    while read_ids.len() < count {
        read_ids.extend(ids(&read(stream).await.unwrap()));
    }
    read_ids
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_follows_what_was_confirmed_and_never_passes_it() {
    let Some(server) = shop(PostgresOptions::default(), "confirmation") else { return };
    let mut stream = open(&server, &plain(&server)).await;
    let mut ends = Vec::new();
    for id in 0..3 {
        server.execute(&format!("insert into stock values ({id}, 1, '')")).unwrap();
        loop {
            let batch = read(&mut stream).await.unwrap();
            if ids(&batch) == [id] {
                ends.push(batch.end().clone());
                break;
            }
        }
    }
    for end in [&ends[1], &ends[0], &ends[1]] {
        stream.confirm(end);
        tokio::task::block_in_place(|| {
            let reached = format!("select {CONFIRMED} = '{}'", ends[1]);
            server.wait_until(&reached, LIMIT).unwrap();
        });
    }
    // Two more statuses have come, and said nothing else.
    tokio::task::block_in_place(|| {
        for _ in 0..2 {
            let replied = "select reply_time::text from pg_stat_replication";
            let replied = server.value(replied).unwrap();
            let later = format!("select reply_time > '{replied}' from pg_stat_replication");
            server.wait_until(&later, LIMIT).unwrap();
        }
    });
    assert_eq!(confirmed(&server), ends[1].as_str());
    // What was not confirmed comes again.
    drop(stream);
    tokio::task::block_in_place(|| {
        let free = "select not active from pg_replication_slots";
        server.wait_until(free, LIMIT).unwrap();
    });
    let mut again = open(&server, &plain(&server)).await;
    assert_eq!(read_rows(&mut again, 1).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_not_ours_to_move_stays_where_it_is() {
    let Some(server) = shop(PostgresOptions::default(), "unconfirmed slot") else { return };
    let before = confirmed(&server);
    let config = PostgresConfig { slot: Slot::Unconfirmed("acme".to_owned()), ..plain(&server) };
    for _ in 0..2 {
        server.execute("insert into stock values (1, 1, ''); delete from stock").unwrap();
        let mut stream = open(&server, &config).await;
        let batch = read(&mut stream).await.unwrap();
        assert_eq!(batch.events().len() % 4, 0);
        stream.confirm(batch.end());
        within("close", stream.close()).await.unwrap();
        assert_eq!(confirmed(&server), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_frees_the_slot_and_keeps_the_last_confirmation() {
    let Some(server) = shop(PostgresOptions::default(), "closing") else { return };
    for id in 0..5 {
        server.execute(&format!("insert into stock values ({id}, 1, '')")).unwrap();
        let mut stream = open(&server, &plain(&server)).await;
        let mut batch = read(&mut stream).await.unwrap();
        while ids(&batch).is_empty() {
            batch = read(&mut stream).await.unwrap();
        }
        stream.confirm(batch.end());
        within("close", stream.close()).await.unwrap();
        assert_eq!(confirmed(&server), batch.end().as_str());
        assert_eq!(server.value("select active from pg_replication_slots").unwrap(), "f");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_consumer_outlives_the_servers_patience() {
    let options = PostgresOptions::default().setting("wal_sender_timeout", "2s");
    let Some(server) = shop(options, "a stalled consumer") else { return };
    let mut stream = open(&server, &plain(&server)).await;
    // Far more than batches, buffers and sockets hold.
    let rows = 60_000;
    let fill = format!(
        "insert into stock select id, 1, repeat('x', 500) from generate_series(1, {rows}) id"
    );
    server.execute(&fill).unwrap();
    let sender = server.value("select pid from pg_stat_replication").unwrap();
    tokio::task::block_in_place(|| {
        let begun = server.value("select now()::text").unwrap();
        let later = format!("select now() > timestamptz '{begun}' + interval '7 s'");
        server.wait_until(&later, LIMIT).unwrap();
    });
    let sent = "select sent_lsn < pg_current_wal_lsn() from pg_stat_replication";
    assert_eq!(server.value(sent).unwrap(), "t", "the log waits on the server");
    let read_ids = read_rows(&mut stream, rows).await;
    assert!(read_ids.iter().copied().eq(1..=i64::try_from(rows).unwrap()));
    assert_eq!(server.value("select pid from pg_stat_replication").unwrap(), sender);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_for_transactions_does_not_end_the_decoding_of_a_long_one() {
    let options = PostgresOptions::default();
    let test = "a limit for transactions";
    let Some(server) = postgres_or_skip(PgVersion::V17, options, test) else { return };
    server.execute(SHOP).unwrap();
    server.execute("create role reader replication login").unwrap();
    server.execute("alter role reader set transaction_timeout = '1s'").unwrap();
    server.value(SLOT).unwrap();
    let config = PostgresConfig { user: "reader".to_owned(), ..plain(&server) };
    let mut stream = open(&server, &config).await;
    let rows = 60_000;
    let fill = format!(
        "insert into stock select id, 1, repeat('x', 500) from generate_series(1, {rows}) id"
    );
    server.execute(&fill).unwrap();
    tokio::task::block_in_place(|| {
        let begun = server.value("select now()::text").unwrap();
        let later = format!("select now() > timestamptz '{begun}' + interval '3 s'");
        server.wait_until(&later, LIMIT).unwrap();
    });
    assert_eq!(read_rows(&mut stream, rows).await.len(), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_slot_follows_a_busy_table_that_nobody_captures() {
    let Some(server) = shop(PostgresOptions::default(), "idle slot") else { return };
    server.execute("create role reader replication login").unwrap();
    let mut config = plain(&server);
    config.user = "reader".to_owned();
    let mut stream = open(&server, &config).await;
    let following = tokio::spawn(async move {
        while let Ok(batch) = stream.read().await {
            assert!(batch.events().is_empty());
            stream.confirm(batch.end());
        }
    });
    for round in 0..3 {
        let fill = "insert into orders select id, repeat('x', 900) from generate_series";
        let (from, to) = (round * 20_000, round * 20_000 + 19_999);
        server.execute(&format!("{fill}({from}, {to}) id")).unwrap();
        let target = server.value("select pg_current_wal_lsn()").unwrap();
        let reached = format!("select {CONFIRMED} >= '{target}'");
        tokio::task::block_in_place(|| {
            server.wait_until(&reached, Duration::from_secs(10)).unwrap();
        });
    }
    following.abort();
    assert!(within("the end", following).await.unwrap_err().is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_ends_is_transient() {
    let Some(server) = shop(PostgresOptions::default(), "ended by the server") else { return };
    let endings: [(&str, &dyn Fn()); 3] = [
        ("terminated", &|| {
            let end = "select pg_terminate_backend(pid) from pg_stat_replication";
            server.execute(end).unwrap();
        }),
        ("restarted", &|| server.restart(StopMode::Fast).unwrap()),
        ("crashed", &|| server.restart(StopMode::Immediate).unwrap()),
    ];
    for (how, end) in endings {
        let mut stream = open(&server, &plain(&server)).await;
        // A fast shutdown waits until everything it has sent is confirmed.
        let ended = tokio::spawn(async move {
            loop {
                match stream.read().await {
                    Ok(batch) => stream.confirm(batch.end()),
                    Err(error) => break error,
                }
            }
        });
        tokio::task::block_in_place(end);
        let error = within(how, ended).await.unwrap();
        assert_eq!(*error.fault(), Fault::Transient, "{how}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_vanishes_is_never_passed_over() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(server) = postgres_or_skip(version, options, "lost publication") else { continue };
        server.execute(SHOP).unwrap();
        server.value(SLOT).unwrap();
        let mut stream = open(&server, &plain(&server)).await;
        server.execute("drop publication tailstock; insert into stock values (1, 1, '')").unwrap();
        let error = loop {
            match read(&mut stream).await {
                Ok(batch) => assert!(batch.events().is_empty(), "{version}"),
                Err(error) => break error,
            }
        };
        let fix = "pg_drop_replication_slot('acme')";
        crate::support::assert_error(&error, "publication \"tailstock\"", Some(fix));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_delivers_every_row_in_order() {
    let authority = Authority::new();
    let files = authority.server(authority.sign("server", &["127.0.0.1"]));
    let options = PostgresOptions::default().tls(files);
    let Some(server) = shop(options, "transports") else { return };
    let root = authority.root().display().to_string();
    let folder = server.socket_dir().unwrap().display().to_string();
    let port = server.port();
    let urls = [
        format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"),
        format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslrootcert={root}"),
        format!("postgresql://postgres@:{port}/postgres?host={folder}"),
    ];
    // One-row transactions, then a large one: a steady flow and a burst.
    let rows: i64 = 13_000;
    server
        .execute(
            "create procedure sell(many int) language plpgsql as $$ begin
                 for id in 1..many loop
                     insert into stock values (id, id, repeat('n', id % 300)); commit;
                 end loop;
             end $$",
        )
        .unwrap();
    server.execute("call sell(3000)").unwrap();
    server
        .execute(&format!(
            "insert into stock select id, id, '' from generate_series(3001, {rows}) id"
        ))
        .unwrap();
    for url in urls {
        let config = PostgresConfig { slot: Slot::Unconfirmed("acme".to_owned()), ..config(&url) };
        let mut stream = open(&server, &config).await;
        let read_ids = read_rows(&mut stream, usize::try_from(rows).unwrap()).await;
        assert!(read_ids.into_iter().take_while(|id| *id <= rows).eq(1..=rows), "{url}");
        // A single row after the flood is not left lying.
        let next = server.value("select max(id) + 1 from stock").unwrap();
        server.execute(&format!("insert into stock values ({next}, 0, '')")).unwrap();
        let mut last = None;
        while last != Some(next.parse().unwrap()) {
            last = ids(&read(&mut stream).await.unwrap()).pop();
        }
        within("close", stream.close()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_given_up_loses_nothing() {
    let Some(server) = shop(PostgresOptions::default(), "cancelled reads") else { return };
    let mut stream = open(&server, &plain(&server)).await;
    let rows = 20_000;
    server
        .execute(&format!("insert into stock select id, 0, '' from generate_series(1, {rows}) id"))
        .unwrap();
    let mut read_ids = Vec::new();
    let mut given_up = 0;
    let reading = async {
        while read_ids.len() < rows {
            tokio::select! { biased;
                batch = stream.read() => read_ids.extend(ids(&batch.unwrap())),
                () = tokio::task::yield_now() => given_up += 1,
            }
        }
    };
    within("all rows", reading).await;
    assert!(read_ids.iter().copied().eq(1..=i64::try_from(rows).unwrap()));
    assert!(given_up > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_many_megabytes_passes() {
    let Some(server) = shop(PostgresOptions::default(), "large row") else { return };
    let mut stream = open(&server, &plain(&server)).await;
    server.execute("insert into stock values (1, 1, repeat('large ', 5000000))").unwrap();
    server.execute("insert into stock values (2, 1, '')").unwrap();
    let mut lengths = Vec::new();
    while lengths.len() < 2 {
        let batch = read(&mut stream).await.unwrap();
        for event in batch.events() {
            let SourceEvent::Row(row) = event else { continue };
            assert_eq!(row.op, Op::Insert);
            let Value::Text(note) = batch.after(row).unwrap().get(2) else { panic!("text") };
            lengths.push(note.len());
        }
    }
    assert_eq!(lengths, [30_000_000, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_look_the_same_whatever_the_role_has_set() {
    let Some(server) = shop(PostgresOptions::default(), "pinned settings") else { return };
    server
        .execute(
            "create table looks (id int primary key, at timestamptz, took interval, part float8,
                 raw bytea);
             alter publication tailstock add table looks;
             alter role postgres set datestyle = 'SQL, DMY';
             alter role postgres set intervalstyle = 'iso_8601';
             alter role postgres set timezone = 'Asia/Kolkata';
             alter role postgres set extra_float_digits = 0;
             alter role postgres set bytea_output = 'escape'",
        )
        .unwrap();
    let capture: Capture = tables(&["looks"]);
    let connector = PostgresConnector::new(plain(&server));
    let from = begins(&server, &capture);
    let mut stream = within("open", connector.open(from, capture)).await.unwrap();
    server
        .execute(
            "insert into looks values (1, '2026-01-31 12:00:00.5+00', '1 mon 2 days 03:04:05',
                 0.1::float8 + 0.2::float8, '\\x00ff')",
        )
        .unwrap();
    let batch = loop {
        let batch = read(&mut stream).await.unwrap();
        if !batch.events().is_empty() {
            break batch;
        }
    };
    let row = batch.events().iter().find_map(|event| match event {
        SourceEvent::Row(row) => Some(row),
        _ => None,
    });
    let values: Vec<_> = batch.after(row.unwrap()).unwrap().values().collect();
    assert_eq!(values[1], Value::TimestampZoned("2026-01-31T12:00:00.5Z"));
    assert_eq!(values[2], Value::Text("1 mon 2 days 03:04:05"));
    assert_eq!(values[3], Value::Float(0.1 + 0.2));
    assert_eq!(values[4], Value::Bytes(&[0, 0xff]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_any_version_can_be_stopped_while_nothing_is_confirmed() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(server) = postgres_or_skip(version, options, "shutdown under a stall") else {
            continue;
        };
        server.execute(SHOP).unwrap();
        server.value(SLOT).unwrap();
        let mut stream = open(&server, &plain(&server)).await;
        let before = confirmed(&server);
        server.execute("insert into stock values (1, 1, '')").unwrap();
        assert_eq!(read_rows(&mut stream, 1).await, [1]);
        // Nobody reads or confirms any more.
        tokio::task::block_in_place(|| server.stop(StopMode::Fast).unwrap());
        let error = loop {
            match read(&mut stream).await {
                Ok(batch) => assert!(batch.events().is_empty()),
                Err(error) => break error,
            }
        };
        assert_eq!(*error.fault(), Fault::Transient, "{version}: {error}");
        tokio::task::block_in_place(|| server.start_again().unwrap());
        assert_eq!(confirmed(&server), before, "{version}");
        let mut again = open(&server, &plain(&server)).await;
        assert_eq!(read_rows(&mut again, 1).await, [1]);
    }
}

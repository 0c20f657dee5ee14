//! What cannot be read whole is not read at all, and says what to do.

use connector_api::{Error, Fault};
use connector_postgres::PostgresConfig;
use testbed::PgVersion;

use crate::support::{OpenSession, Shelf, Shop, assert_error};

/// A role that may do nothing yet.
fn reader(shop: &Shop) -> PostgresConfig {
    shop.sql("create role \"Reader\" login");
    PostgresConfig { user: "Reader".to_owned(), ..shop.config() }
}

async fn refusal(shelf: &mut Shelf) -> Error {
    shelf.try_chunk(None, 9).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_the_right_is_told_the_grant() {
    for shop in Shop::of_each_version("rights of a snapshot") {
        let config = reader(&shop);
        shop.sql("revoke all on schema public from public; insert into stock values (1, 2, 'x')");
        let mut shelf = Shelf::open(config, "stock", &["qty"]).await;
        let error = refusal(&mut shelf).await;
        let usage = "GRANT USAGE ON SCHEMA public TO \"Reader\"; \
                     GRANT SELECT (id, qty) ON public.stock TO \"Reader\";";
        assert_error(&error, "\"Reader\" may not read id, qty of public.stock", Some(usage));
        shop.sql("grant usage on schema public to \"Reader\"");
        shop.sql("grant select (qty) on stock to \"Reader\"");
        let error = refusal(&mut shelf).await;
        let key = "GRANT SELECT (id) ON public.stock TO \"Reader\";";
        assert_error(&error, "may not read id of", Some(key));
        shop.sql("grant select (id) on stock to \"Reader\"");
        assert_eq!(shelf.whole(9).await, ["qty=2"]);
        // While it is under way.
        shop.sql("revoke select (qty) on stock from \"Reader\"");
        let error = refusal(&mut shelf).await;
        assert_error(&error, "public.stock", Some("GRANT SELECT"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_may_be_hidden_are_not_left_out_in_silence() {
    for shop in Shop::of_each_version("row level security") {
        let config = reader(&shop);
        shop.sql(
            "insert into stock values (1, 2, 'x'); grant select on stock to \"Reader\";
             alter table stock enable row level security;
             create policy part on stock using (id > 1)",
        );
        let mut shelf = Shelf::open(config, "stock", &["qty"]).await;
        let error = refusal(&mut shelf).await;
        assert_error(&error, "row level security", Some("ALTER ROLE \"Reader\" BYPASSRLS;"));
        shop.sql("alter table stock disable row level security");
        assert_eq!(shelf.whole(9).await, ["qty=2"]);
        shop.sql("alter table stock enable row level security");
        let error = refusal(&mut shelf).await;
        assert_error(&error, "row level security", Some("BYPASSRLS"));
        shop.sql("alter role \"Reader\" bypassrls");
        assert_eq!(shelf.whole(9).await, ["qty=2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_published_table_is_said_with_a_remedy() {
    let Some(shop) = Shop::start(PgVersion::V15, "no table to read") else { return };
    shop.sql("create view shown as select * from stock");
    shop.sql("insert into stock values (1, 2, 'x')");
    let mut shelf = Shelf::open(shop.config(), "shown", &["qty"]).await;
    assert_error(&refusal(&mut shelf).await, "is not a table", Some("the table behind it"));
    let mut shelf = Shelf::open(shop.config(), "stock", &["qty"]).await;
    assert_eq!(shelf.whole(9).await, ["qty=2"]);
    shop.sql("drop publication tailstock; create publication tailstock");
    let add = "ALTER PUBLICATION tailstock ADD TABLE public.stock;";
    assert_error(&refusal(&mut shelf).await, "is not in publication tailstock", Some(add));
    shop.sql("drop table stock cascade");
    assert_error(&refusal(&mut shelf).await, "public.stock does not exist", Some("make it again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_without_a_key_is_refused_with_its_size() {
    for shop in Shop::of_each_version("a large table without a key") {
        shop.sql("create table log (id int, note text)");
        shop.sql("insert into log select i, 'x' from generate_series(1, 3) i");
        let mut shelf = Shelf::open(shop.config(), "log", &["id", "note"]).await;
        let chunk = shelf.chunk(None, 2).await;
        assert_eq!((chunk.rows.events().len(), chunk.next), (5, None));
        shop.sql("insert into log select i, repeat('x', 10000000) from generate_series(1, 7) i");
        let error = refusal(&mut shelf).await;
        let fix = "ALTER TABLE public.log ADD PRIMARY KEY";
        assert_error(&error, "public.log has no key", Some(fix));
        assert!(error.to_string().contains("B on disk"), "{error}");
        shop.sql("alter table log add column line serial primary key");
        shop.sql("delete from log where length(note) > 1 and id > 1");
        assert_eq!(shelf.whole(8192).await.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_and_a_query_that_is_ended_are_tried_again_by_others() {
    let Some(shop) = Shop::start(PgVersion::V15, "locks and ended queries") else { return };
    let session = OpenSession::start(&shop).await;
    session.execute("begin; lock table stock").await;
    let mut shelf = Shelf::open(shop.config(), "stock", &["qty"]).await;
    assert_error(&refusal(&mut shelf).await, "holds a lock", None);
    let mut shelf = Shelf::open(shop.config(), "stock", &["qty"]).await;
    let reading = tokio::spawn(async move { refusal(&mut shelf).await });
    tokio::task::block_in_place(|| {
        shop.wait_until(
            "select coalesce(bool_or(pg_cancel_backend(pid)), false) from pg_locks
             where not granted",
        );
    });
    assert_error(&reading.await.unwrap(), "statement_timeout", None);
    session.execute("commit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_something_else_is_refused_without_its_content() {
    let Some(shop) = Shop::start(PgVersion::V15, "a strange cursor") else { return };
    shop.sql("insert into stock values (1, 2, 'x')");
    let mut shelf = Shelf::open(shop.config(), "stock", &["qty"]).await;
    for (cursor, words) in [
        ("{}", "is not a place in a PostgreSQL table"),
        ("[[\"id\",\"secret\"]]", "cannot read the last key"),
    ] {
        let cursor = connector_api::Cursor::new(cursor);
        let error = shelf.try_chunk(Some(&cursor), 9).await.unwrap_err();
        assert_eq!(*error.fault(), Fault::Definite, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

//! What it proves: a server that is not as it must be is told in words that help, all at once,
//! and nothing is created anywhere: no slot there, no store here.

use std::process::{Command, Output};

use testbed::{PgVersion, Postgres, PostgresOptions, TlsFiles};

use crate::support::Workspace;

const STOCK: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";

/// A database as it must be, with a role that may do what it must.
const READY: &str = "
    CREATE TABLE stock (item bigint PRIMARY KEY, qty int, note text);
    CREATE PUBLICATION tailstock FOR TABLE stock;";

/// One server, and the states it is tried in. Each has a database of its own.
struct Server(Postgres);

impl Server {
    fn start(test: &str, options: PostgresOptions) -> Option<Self> {
        testbed::postgres_or_skip(PgVersion::V15, options, test).map(Self)
    }

    /// Makes a database that is as it must be but for `change`; its URL.
    fn database(&self, name: &str, change: &str) -> String {
        self.0.execute(&format!("CREATE DATABASE {name}")).unwrap();
        let url = self.0.url("postgres", name);
        let output = self
            .0
            .bin("psql")
            .unwrap()
            .args(["--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", &url, "--command", READY])
            .args(if change.is_empty() { vec![] } else { vec!["--command", change] })
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        format!("{url}?sslmode=disable")
    }

    /// Runs tailstock on `url` and compares what it says.
    fn tells(&self, name: &str, exit: i32, url: &str) {
        self.tells_with(name, exit, &seller(url, STOCK));
    }

    fn tells_with(&self, name: &str, exit: i32, seller: &str) {
        let slots = "SELECT count(*)::text FROM pg_replication_slots";
        let before = self.0.value(slots).unwrap();
        let workspace = Workspace::new(Workspace::MAIN, seller);
        let output = run(&workspace);
        let told = text(&output.stderr).replace(&format!(":{}", self.0.port()), ":PORT");
        assert_eq!(output.status.code(), Some(exit), "{name}: {told}");
        assert_eq!(self.0.value(slots).unwrap(), before, "{name} left a slot");
        // A holder is waited for, and by then there is a store, with nothing in it.
        if exit == 3 {
            assert_no_checkpoint(name, &workspace);
        } else {
            let made = |name: &str| workspace.path(name).exists();
            assert!(!made("stock.db") && !made("stock.db.lock"), "{name} left a file");
        }
        assert!(!told.contains("hunter2"), "{name} tells a password: {told}");
        compare(name, &told);
    }
}

fn seller(url: &str, stock: &str) -> String {
    format!("seller = \"acme\"\n[source]\nkind = \"postgres\"\nurl = \"{url}\"\n{stock}")
}

fn run(workspace: &Workspace) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(["--log-level", "error", "--config", "tailstock.toml", "run", "--until-current"])
        .current_dir(workspace.folder())
        .env_clear()
        .env("RIGHT", "secret")
        .env("WRONG", "hunter2")
        .output()
        .unwrap()
}

fn assert_no_checkpoint(name: &str, workspace: &Workspace) {
    let path = workspace.path("stock.db");
    if path.exists() {
        let store = crate::support::Published::open(&path);
        assert_eq!(store.count("checkpoints") + store.count("events"), 0, "{name}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn compare(name: &str, told: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("snapshots");
    // What differs from run to run: process ids, and where files lie.
    settings.add_filter(r"PID \d+", "PID NUMBER");
    settings.add_filter(r"process \d+", "process NUMBER");
    settings.add_filter(r"/\S*/\.tmp\w+", "FOLDER");
    settings.add_filter(r"system \d{15,}", "system NUMBER");
    settings.bind(|| insta::assert_snapshot!(name, told));
}

#[test]
fn a_login_that_fails_says_why() {
    let test = "a_login_that_fails_says_why";
    let options = PostgresOptions::default()
        .hba("host all reader,plain 127.0.0.1/32 scram-sha-256")
        .hba("host all barred 127.0.0.1/32 reject")
        .hba("host all all 127.0.0.1/32 trust");
    let Some(server) = Server::start(test, options.controlled()) else { return };
    let url = server.database("logins", "");
    server
        .0
        .execute(
            "SET password_encryption = 'scram-sha-256';
             CREATE ROLE reader LOGIN REPLICATION PASSWORD 'secret';
             CREATE ROLE plain LOGIN PASSWORD 'secret';
             CREATE ROLE barred LOGIN REPLICATION;
             CREATE ROLE nologin REPLICATION;",
        )
        .unwrap();
    let as_role = |role: &str| url.replace("postgres@", &format!("{role}@"));
    let with_password = |role: &str, variable: &str| {
        seller(&as_role(role), &format!("password = {{ env = \"{variable}\" }}\n{STOCK}"))
    };
    server.tells_with("wrong_password", 4, &with_password("reader", "WRONG"));
    server.tells("no_password", 4, &as_role("reader"));
    server.tells("unknown_role", 4, &as_role("nobody"));
    server.tells("role_without_login", 4, &as_role("nologin"));
    server.tells_with("role_without_replication", 4, &with_password("plain", "RIGHT"));
    server.tells("barred_by_hba", 4, &as_role("barred"));
    server.tells("unknown_database", 4, &url.replace("/logins", "/nowhere"));
}

#[test]
fn a_publication_or_table_that_will_not_do_says_why() {
    let test = "a_publication_or_table_that_will_not_do_says_why";
    let Some(server) = Server::start(test, PostgresOptions::default().controlled()) else { return };
    let publication = "DROP PUBLICATION tailstock; CREATE PUBLICATION tailstock FOR TABLE stock";
    for (name, change) in [
        ("no_publication", "DROP PUBLICATION tailstock"),
        ("table_not_published", "ALTER PUBLICATION tailstock DROP TABLE stock"),
        ("column_list_hides_a_column", &format!("{publication} (item, note)")),
        (
            "two_hidden_columns_of_a_shared_publication",
            "CREATE TABLE other (id int PRIMARY KEY);
            DROP PUBLICATION tailstock; CREATE PUBLICATION tailstock FOR TABLE other,
            stock (item) WHERE (item > 0)",
        ),
        ("row_filter_outside_the_identity", &format!("{publication} WHERE (qty > 0)")),
        ("publication_without_delete", "ALTER PUBLICATION tailstock SET (publish = 'insert')"),
        ("no_table", "DROP TABLE stock; CREATE TABLE stocks (item int PRIMARY KEY, qty int)"),
        ("near_table", "ALTER TABLE stock RENAME TO stocks"),
        ("no_column", "ALTER TABLE stock RENAME qty TO quantity"),
        ("near_column", "ALTER TABLE stock RENAME qty TO qtty"),
        ("table_is_a_view", "ALTER TABLE stock RENAME TO t; CREATE VIEW stock AS SELECT * FROM t"),
        ("no_identity", "ALTER TABLE stock DROP CONSTRAINT stock_pkey"),
        ("identity_nothing", "ALTER TABLE stock REPLICA IDENTITY NOTHING"),
        (
            "unlogged_table",
            "DROP TABLE stock; CREATE UNLOGGED TABLE stock
            (item int PRIMARY KEY, qty int, note text)",
        ),
        (
            "several_at_once",
            "DROP PUBLICATION tailstock; ALTER TABLE stock REPLICA IDENTITY
            NOTHING; ALTER TABLE stock RENAME qty TO quantity",
        ),
    ] {
        let url = server.database(name, change);
        server.tells_with(
            name,
            4,
            &seller(&url, &STOCK.replace("on_hand", "sku = \"note\"\non_hand")),
        );
    }
}

#[test]
fn a_slot_that_is_not_ours_says_whose_it_is() {
    let test = "a_slot_that_is_not_ours_says_whose_it_is";
    let Some(server) = Server::start(test, PostgresOptions::default().controlled()) else { return };
    let url = server.database("slots", "");
    let on_slots = |sql: &str| {
        let url = server.0.url("postgres", "slots");
        let done = server.0.bin("psql").unwrap().args(["--dbname", &url, "-c", sql]).output();
        assert!(done.unwrap().status.success());
    };
    let drop_slot = "SELECT pg_drop_replication_slot('test_acme_main')";
    on_slots("SELECT pg_create_logical_replication_slot('test_acme_main', 'test_decoding')");
    server.tells("slot_of_another_plugin", 4, &url);
    on_slots(drop_slot);
    on_slots("SELECT pg_create_physical_replication_slot('test_acme_main')");
    server.tells("slot_is_physical", 4, &url);
    on_slots(drop_slot);
    let elsewhere = "SELECT pg_create_logical_replication_slot('test_acme_main', 'pgoutput')";
    server.0.execute(elsewhere).unwrap();
    server.tells("slot_of_another_database", 4, &url);
    server.0.execute(drop_slot).unwrap();

    on_slots("SELECT pg_create_logical_replication_slot('test_acme_main', 'pgoutput')");
    let mut holder = server
        .0
        .bin("pg_recvlogical")
        .unwrap()
        .args(["--dbname", "slots", "--slot", "test_acme_main", "--start", "--no-loop"])
        .args(["--option", "proto_version=1", "--option", "publication_names=tailstock"])
        .args(["--file", "/dev/null"])
        .spawn()
        .unwrap();
    let held = "SELECT bool_and(active) FROM pg_replication_slots";
    server.0.wait_until(held, std::time::Duration::from_secs(20)).unwrap();
    server.tells("slot_held_by_another_process", 3, &url);
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_server_that_is_not_set_up_says_how() {
    let test = "a_server_that_is_not_set_up_says_how";
    let options = PostgresOptions::default().setting("wal_level", "replica").controlled();
    let Some(server) = Server::start(test, options) else { return };
    server.tells("wal_level_replica", 4, &server.database("shop", ""));

    let options = PostgresOptions::default().setting("max_replication_slots", "1").controlled();
    let Some(server) = Server::start(test, options) else { return };
    server.0.execute("SELECT pg_create_physical_replication_slot('backup')").unwrap();
    server.tells("no_free_slot", 4, &server.database("shop", ""));

    let options = PostgresOptions::default().setting("max_wal_senders", "1").controlled();
    let Some(server) = Server::start(test, options) else { return };
    let url = server.database("shop", "");
    let mut backup = server
        .0
        .bin("pg_receivewal")
        .unwrap()
        .args(["--directory", server.0.socket_dir().unwrap().to_str().unwrap(), "--no-loop"])
        .spawn()
        .unwrap();
    let busy = "SELECT count(*) = 1 FROM pg_stat_replication";
    server.0.wait_until(busy, std::time::Duration::from_secs(20)).unwrap();
    server.tells("no_free_sender", 4, &url);
    backup.kill().unwrap();
    backup.wait().unwrap();

    let options = PostgresOptions::default().controlled();
    let Some(primary) = Server::start(test, options.clone()) else { return };
    primary.database("shop", "");
    let standby = Server(primary.0.standby(&options).unwrap());
    let url = format!("{}?sslmode=disable", standby.0.url("postgres", "shop"));
    standby.tells("standby", 4, &url);
}

#[test]
fn a_server_that_cannot_prove_who_it_is_is_not_talked_to() {
    let test = "a_server_that_cannot_prove_who_it_is_is_not_talked_to";
    let Some(server) = Server::start(test, PostgresOptions::default().controlled()) else { return };
    let url = server.database("clear", "").replace("sslmode=disable", "sslmode=require");
    server.tells("tls_not_offered", 4, &url);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let signed = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("server.pem"), signed.cert.pem()).unwrap();
    std::fs::write(path("server.key"), signed.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("other.pem"), other.cert.pem()).unwrap();
    let files =
        TlsFiles { certificate: path("server.pem"), key: path("server.key"), client_ca: None };
    let options = PostgresOptions::default().tls(files).hba("hostssl all all 127.0.0.1/32 trust");
    let Some(server) = Server::start(test, options.controlled()) else { return };
    let url = server.0.url("postgres", "postgres");
    let with_root = |name: &str| format!("{url}?sslrootcert={}", path(name).display());
    server.tells("certificate_of_an_unknown_authority", 4, &with_root("other.pem"));
    server.tells("certificate_of_another_name", 4, &with_root("server.pem"));
    server.tells("tls_is_wanted", 4, &format!("{url}?sslmode=disable"));
}

#[test]
fn a_pattern_that_finds_no_table_too_many_or_one_of_another_says_so() {
    let test = "a_pattern_that_finds_no_table_too_many_or_one_of_another_says_so";
    let options = PostgresOptions::default().controlled();
    let Some(server) = Server::start(test, options) else { return };
    let change = "
        CREATE TABLE wp_a_stock (item bigint PRIMARY KEY, qty int);
        CREATE TABLE \"wp_a-b_stock\" (item bigint PRIMARY KEY, qty int);
        ALTER PUBLICATION tailstock ADD TABLE wp_a_stock, \"wp_a-b_stock\";
        DO $$ BEGIN FOR nth IN 1..501 LOOP
            EXECUTE format('CREATE TABLE many_%s_stock (item bigint)', nth);
        END LOOP; END $$;";
    let url = server.database("patterns", change);
    let block = |table: &str, item: &str, location: &str| {
        format!(
            "[[stock]]\ntable = \"{table}\"\nitem = \"{item}\"\nlocation = \"'{location}'\"\n\
             on_hand = \"qty\"\n"
        )
    };
    let nothing = block("public.wq_*_stock", "item", "{*}");
    server.tells_with("pattern_that_finds_no_table", 4, &seller(&url, &nothing));
    let many = block("public.many_*_stock", "item", "{*}");
    server.tells_with("pattern_that_finds_too_many_tables", 4, &seller(&url, &many));
    let twice =
        block("public.wp_*_stock", "item", "{*}") + &block("public.*_a_stock", "item", "other-{*}");
    server.tells_with("patterns_that_find_one_table", 4, &seller(&url, &twice));
    let alike = block("public.wp_*_stock", "'{*}-' || item", "_");
    server.tells_with("pattern_whose_tables_can_yield_one_key", 4, &seller(&url, &alike));
}

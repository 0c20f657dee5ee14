//! The testbed's promises, on real servers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testbed::{
    PgVersion, Postgres, PostgresOptions, StopMode, TlsFiles, all_versions, postgres_or_skip,
};

/// Processes whose command line names `directory`.
fn processes_of(directory: &str) -> Vec<String> {
    let ids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let lines = ids.filter_map(|path| fs::read_to_string(path.join("cmdline")).ok());
    lines.filter(|line| line.contains(directory)).collect()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn directory_of(server: &Postgres) -> String {
    let data = server.value("show data_directory").unwrap();
    data.strip_suffix("/data").unwrap().to_owned()
}

#[test]
fn every_version_starts_and_comes_back_after_an_immediate_stop() {
    for version in all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(server) = postgres_or_skip(version, options, "every version starts") else {
            continue;
        };
        let answer = server.value("select version()").unwrap();
        assert!(answer.starts_with(&format!("PostgreSQL {version}.")), "{answer}");
        assert_eq!(server.value("show wal_level").unwrap(), "logical");
        let port = server.port();
        server.execute("create table kept (id int); insert into kept values (7)").unwrap();
        server.restart(StopMode::Immediate).unwrap();
        assert_eq!(server.value("select id from kept").unwrap(), "7");
        assert_eq!(server.port(), port);
        let recovered = server.value("select pg_is_in_recovery()").unwrap();
        assert_eq!(recovered, "f");
    }
}

#[test]
fn two_servers_share_neither_port_nor_data_and_drop_leaves_nothing() {
    let test = "two servers at once";
    let options = PostgresOptions::default().controlled();
    let Some(first) = postgres_or_skip(PgVersion::V15, options.clone(), test) else { return };
    let Some(second) = postgres_or_skip(PgVersion::V15, options, test) else { return };
    assert_ne!(first.port(), second.port());
    first.execute("create table mine (id int)").unwrap();
    assert_eq!(second.value("select to_regclass('mine') is null").unwrap(), "t");
    let directory = directory_of(&first);
    assert!(!processes_of(&directory).is_empty());
    drop(first);
    assert_eq!(processes_of(&directory), Vec::<String>::new());
    assert!(!Path::new(&directory).exists());
    assert_eq!(second.value("select 1").unwrap(), "1");
}

#[test]
fn a_stopped_server_is_gone_until_it_is_started_again() {
    let options = PostgresOptions::default().controlled();
    let Some(server) = postgres_or_skip(PgVersion::V15, options, "a stopped server") else {
        return;
    };
    for mode in [StopMode::Smart, StopMode::Fast, StopMode::Immediate] {
        server.stop(mode).unwrap();
        assert!(server.process_id().is_none());
        assert!(server.execute("select 1").is_err());
        server.start_again().unwrap();
        assert!(server.process_id().is_some());
    }
    assert!(server.start_again().unwrap_err().to_string().contains("runs already"));
}

#[test]
fn settings_are_taken_from_the_options_and_changed_while_it_runs() {
    let options = PostgresOptions::default().setting("application_name", "it's mine").durable();
    let Some(server) = postgres_or_skip(PgVersion::V15, options, "settings") else { return };
    assert_eq!(server.value("show fsync").unwrap(), "on");
    assert_eq!(server.value("show application_name").unwrap(), "it's mine");
    server.set("wal_sender_timeout", "4s").unwrap();
    assert_eq!(server.value("show wal_sender_timeout").unwrap(), "4s");
    let refused = server.set("wal_sender_timeout", "soon").unwrap_err();
    assert!(refused.to_string().contains("22023"), "{refused}");
}

#[test]
fn a_server_that_cannot_start_fails_with_its_log_and_is_no_reason_to_skip() {
    if postgres_or_skip(PgVersion::V15, PostgresOptions::default(), "a wrong setting").is_none() {
        return;
    }
    let options = PostgresOptions::default().setting("no_such_setting", "1");
    let error = Postgres::start(PgVersion::V15, options).unwrap_err();
    assert!(matches!(error, testbed::StartError::Failed(_)));
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn the_tools_of_each_version_find_their_server() {
    for version in all_versions() {
        let options = PostgresOptions::default().controlled();
        let Some(server) = postgres_or_skip(version, options, "tools find their server") else {
            continue;
        };
        let mut create = server.bin("pg_recvlogical").unwrap();
        create.args(["--dbname=postgres", "--create-slot", "--slot=tool", "--plugin=pgoutput"]);
        assert!(create.output().unwrap().status.success());
        let slots = server.query("select slot_name, plugin from pg_replication_slots").unwrap();
        let wanted = [Some("tool".to_owned()), Some("pgoutput".to_owned())];
        assert_eq!(slots, [wanted]);
    }
}

#[test]
fn passwords_are_asked_for_where_the_options_say_so() {
    let options = PostgresOptions::default().hba("host all all 127.0.0.1/32 scram-sha-256");
    let Some(server) = postgres_or_skip(PgVersion::V15, options, "passwords") else { return };
    server.execute("create role reader login password 'right'").unwrap();
    let login = |password: &str| {
        let mut psql = server.bin("psql").unwrap();
        psql.args(["-h", "127.0.0.1", "-U", "reader", "-c", "select 1"]);
        psql.env("PGPASSWORD", password).stdin(Stdio::null()).output().unwrap().status.success()
    };
    assert!(login("right"));
    assert!(!login("wrong"));
}

#[test]
fn tls_is_offered_with_the_files_given() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]);
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output();
    assert!(made.is_ok_and(|output| output.status.success()), "openssl makes a certificate");
    let client_ca = Some(certificate.clone());
    let options = PostgresOptions::default().tls(TlsFiles { certificate, key, client_ca });
    let Some(server) = postgres_or_skip(PgVersion::V15, options, "TLS") else { return };
    let mut psql = server.bin("psql").unwrap();
    let url = format!("{}?sslmode=require", server.url("postgres", "postgres"));
    let output = psql.args(["-Atc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"]);
    let output = output.arg(url).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "t");
}

#[test]
fn identities_differ_when_asked_and_a_standby_keeps_its_primarys() {
    let test = "identities";
    let identity = "select system_identifier from pg_control_system()";
    let options = PostgresOptions::default();
    let Some(first) = postgres_or_skip(PgVersion::V15, options.clone().controlled(), test) else {
        return;
    };
    let other = postgres_or_skip(PgVersion::V15, options.clone().own_identity(), test).unwrap();
    assert_ne!(first.value(identity).unwrap(), other.value(identity).unwrap());

    let standby = first.standby(&options).unwrap();
    assert_eq!(first.value(identity).unwrap(), standby.value(identity).unwrap());
    first.execute("create table copied (id int)").unwrap();
    let arrived = "select to_regclass('copied') is not null";
    standby.wait_until(arrived, Duration::from_secs(30)).unwrap();
    standby.execute("select pg_promote()").unwrap();
    standby.wait_until("select not pg_is_in_recovery()", Duration::from_secs(30)).unwrap();
    standby.execute("create table its_own (id int)").unwrap();
}

#[test]
fn it_works_inside_a_runtime_and_outlives_the_thread_that_started_it() {
    let start = || postgres_or_skip(PgVersion::V15, PostgresOptions::default(), "threads");
    let started = std::thread::spawn(start).join().unwrap();
    let Some(server) = started else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert_eq!(server.value("select 1").unwrap(), "1");
    });
}

#[test]
fn a_killed_process_takes_its_servers_with_it() {
    let test = "a killed process";
    if postgres_or_skip(PgVersion::V15, PostgresOptions::default().controlled(), test).is_none() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    command.args(["postgres", "15"]).stdout(Stdio::piped());
    let mut holder = command.process_group(0).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let url = lines.next().transpose().unwrap().unwrap_or_default();
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let marker = format!("\0-p\0{port}\0");
    assert_eq!(processes_of(&marker).len(), 1, "{url}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("the server to end", || processes_of(&marker).is_empty());
}

#[test]
fn a_server_from_the_environment_lends_a_database_and_nothing_else() {
    let options = PostgresOptions::default().controlled();
    let Some(lender) = postgres_or_skip(PgVersion::V15, options, "from the environment") else {
        return;
    };
    let databases = "select count(*) from pg_database";
    assert_eq!(lender.value(databases).unwrap(), "3");
    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    let url = lender.url("postgres", "postgres");
    command.env("TAILSTOCK_TEST_POSTGRES_15", &url).env("TAILSTOCK_TEST_VERSIONS", "15");
    command.env("TAILSTOCK_TEST_MYSQL_VERSIONS", "none");
    let output = command.arg("prepare").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The broker's line comes before it or after it.
    let of_server: Vec<&str> = text.lines().filter(|line| line.starts_with("PostgreSQL")).collect();
    assert_eq!(of_server.len(), 1, "{text}");
    assert!(of_server[0].ends_with("from TAILSTOCK_TEST_POSTGRES_15"), "{text}");
    assert_eq!(lender.value(databases).unwrap(), "3");

    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    command.env("TAILSTOCK_TEST_POSTGRES_15", &url);
    let output = command.args(["postgres", "15", "fsync=on"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("this test needs one of its own"), "{text}");
}

//! The testbed's promises about MySQL and MariaDB, on real servers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testbed::{
    Mysql, MysqlOptions, MysqlVersion, StartError, TlsFiles, all_mysql_versions, mysql_or_skip,
    shared_mysql_or_skip,
};

const TABLE: &str = "create table stock (id int primary key, on_hand int)";

/// Processes whose command line names `text`.
fn processes_with(text: &str) -> Vec<String> {
    let ids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let lines = ids.filter_map(|path| fs::read_to_string(path.join("cmdline")).ok());
    lines.filter(|line| line.contains(text)).collect()
}

/// The types of the events in all files of a server's binlog.
fn binlog(server: &Mysql) -> Vec<String> {
    let files = server.query("show binary logs").unwrap();
    let files = files.into_iter().map(|mut row| row.swap_remove(0).unwrap());
    let events = files.flat_map(|file| {
        server.query(&format!("show binlog events in '{file}'")).unwrap().into_iter()
    });
    events.map(|mut row| row.swap_remove(2).unwrap()).collect()
}

fn controlled() -> MysqlOptions {
    MysqlOptions::default().controlled()
}

#[test]
fn every_version_has_a_row_in_its_binlog_and_keeps_it_when_killed() {
    for version in all_mysql_versions() {
        let test = "every version has a row in its binlog";
        let Some(server) = mysql_or_skip(version, &controlled(), test) else { continue };
        let (port, name) = (server.port(), server.value("select @@version").unwrap());
        assert_eq!(name.contains("MariaDB"), version.is_mariadb(), "{name}");
        server.execute(TABLE).unwrap();
        server.execute("insert into stock values (7, 3)").unwrap();
        let write = if version.is_mariadb() { "Write_rows_v1" } else { "Write_rows" };
        let events = binlog(&server);
        let gtid = events.iter().filter(|event| event.starts_with("Gtid") && *event != "Gtid_list");
        assert_eq!(events.iter().filter(|event| *event == write).count(), 1, "{events:?}");
        assert_eq!(gtid.count(), 2, "{events:?}");

        server.kill().unwrap();
        assert!(server.process_id().is_none());
        assert!(server.execute("select 1").is_err());
        server.start_again().unwrap();
        assert_eq!(server.value("select on_hand from stock where id = 7").unwrap(), "3");
        assert_eq!(server.port(), port);
        assert!(binlog(&server).contains(&write.to_owned()));
        assert!(server.log().unwrap().contains("ready for connections"));

        server.stop().unwrap();
        server.start_again().unwrap();
        assert!(server.start_again().unwrap_err().to_string().contains("runs already"));
        server.wait_until("select count(*) = 1 from stock", Duration::from_secs(1)).unwrap();
    }
}

#[test]
fn two_servers_share_neither_port_nor_data_nor_identity_and_drop_leaves_nothing() {
    for version in all_mysql_versions() {
        let test = "two servers at once";
        let Some(first) = mysql_or_skip(version, &controlled(), test) else { continue };
        let Some(second) = mysql_or_skip(version, &controlled(), test) else { continue };
        assert_ne!(first.port(), second.port());
        let mut identities = vec!["select @@server_id"];
        identities.extend((!version.is_mariadb()).then_some("select @@server_uuid"));
        for identity in identities {
            assert_ne!(first.value(identity).unwrap(), second.value(identity).unwrap());
        }
        first.execute(TABLE).unwrap();
        assert_eq!(second.query("show tables").unwrap(), Vec::<Vec<_>>::new());
        let directory = first.data_dir().unwrap().parent().unwrap().to_owned();
        assert!(!processes_with(directory.to_str().unwrap()).is_empty());
        drop(first);
        assert_eq!(processes_with(directory.to_str().unwrap()), Vec::<String>::new());
        assert!(!directory.exists());
        assert_eq!(second.value("select 1").unwrap(), "1");
    }
}

#[test]
fn tests_share_a_server_and_not_their_databases() {
    let test = "a shared server";
    let Some(first) = shared_mysql_or_skip(MysqlVersion::Mariadb1011, test) else { return };
    let second = shared_mysql_or_skip(MysqlVersion::Mariadb1011, test).unwrap();
    assert_eq!(first.port(), second.port());
    first.execute(TABLE).unwrap();
    second.execute(TABLE).unwrap();
    let gone = first.database().to_owned();
    drop(first);
    let databases = second.query("show databases").unwrap();
    assert!(databases.contains(&vec![Some(second.database().to_owned())]), "{databases:?}");
    assert!(!databases.contains(&vec![Some(gone)]), "{databases:?}");
    assert!(second.kill().unwrap_err().to_string().contains("MysqlOptions::controlled"));
}

#[test]
fn a_row_based_binlog_with_gtids_is_the_default_and_settings_win_over_it() {
    for version in all_mysql_versions() {
        let test = "settings";
        let Some(server) = mysql_or_skip(version, &controlled(), test) else { continue };
        let shown = "select concat_ws(' ', @@binlog_format, @@sync_binlog, @@server_id,
            @@innodb_flush_log_at_trx_commit, @@character_set_server)";
        let port = server.port();
        assert_eq!(server.value(shown).unwrap(), format!("ROW 0 {port} 1 utf8mb4"));
        let gtid = if version.is_mariadb() { "@@gtid_strict_mode" } else { "@@gtid_mode = 'ON'" };
        assert_eq!(server.value(&format!("select {gtid}")).unwrap(), "1");

        let options = MysqlOptions::default().setting("binlog_row_image", "MINIMAL");
        let options = options.setting("server-id", "77").setting("lower_case_table_names", "1");
        let server = mysql_or_skip(version, &options, test).unwrap();
        let shown = "select concat_ws(' ', @@binlog_row_image, @@server_id)";
        assert_eq!(server.value(shown).unwrap(), "MINIMAL 77");
        server.execute("create table Upper (id int)").unwrap();
        assert_eq!(server.query("show tables").unwrap(), [[Some("upper".to_owned())]]);

        let without = mysql_or_skip(version, &MysqlOptions::default().without_binlog(), test);
        assert_eq!(without.unwrap().value("select @@log_bin").unwrap(), "0");
    }
}

#[test]
fn what_a_later_statement_fails_with_is_not_lost() {
    let test = "a later statement that fails";
    let Some(server) = shared_mysql_or_skip(MysqlVersion::Mariadb1011, test) else { return };
    for sql in ["set @a = 1; insert into nowhere values (1)", "select 1; select 2; nonsense"] {
        assert!(server.execute(sql).is_err(), "{sql}");
    }
    assert_eq!(server.query("set @a = 7; select @a").unwrap(), [[Some("7".to_owned())]]);
}

#[test]
fn a_server_that_cannot_start_fails_with_its_log_and_is_no_reason_to_skip() {
    let version = MysqlVersion::Mariadb1011;
    if mysql_or_skip(version, &controlled(), "a wrong setting").is_none() {
        return;
    }
    let options = MysqlOptions::default().setting("no_such_setting", "1");
    let error = Mysql::start(version, &options).unwrap_err();
    assert!(matches!(error, StartError::Failed(_)));
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn tls_is_offered_with_the_files_given_to_the_clients_of_each_version() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]);
    let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output();
    assert!(made.is_ok_and(|output| output.status.success()), "openssl makes a certificate");
    let authority = fs::read(&certificate).unwrap();
    for version in all_mysql_versions() {
        let tls = TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: None };
        let options = MysqlOptions::default().tls(tls);
        let options = options.setting("require_secure_transport", "ON");
        let Some(server) = mysql_or_skip(version, &options, "TLS") else { continue };
        let ca = server.data_dir().unwrap().parent().unwrap().join("ca.pem");
        fs::write(&ca, &authority).unwrap();
        let mut client =
            server.bin(if version.is_mariadb() { "mariadb" } else { "mysql" }).unwrap();
        client.args(["-h127.0.0.1", &format!("-P{}", server.port()), "--protocol=tcp", "-N"]);
        client.arg(format!("--ssl-ca={}", ca.display()));
        client.args(["-e", "show status like 'Ssl_version'"]).stdin(Stdio::null());
        let output = client.output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains("Ssl_version\tTLSv1.3"), "{said}");
    }
}

#[test]
fn the_programs_of_each_version_read_its_binlog_and_dump_its_tables() {
    for version in all_mysql_versions() {
        let test = "programs of each version";
        let Some(server) = mysql_or_skip(version, &controlled(), test) else { continue };
        server.execute(TABLE).unwrap();
        server.execute("insert into stock values (7, 3)").unwrap();
        let flavor = if version.is_mariadb() { "mariadb-" } else { "mysql" };
        let run = |name: &str, arguments: &[&str]| {
            let mut command = server.bin(name).unwrap();
            let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let file = server.value("show binary logs").unwrap();
        let read = run(&format!("{flavor}binlog"), &["--read-from-remote-server", "-v", &file]);
        assert!(read.contains("### INSERT INTO `shop`.`stock`"), "{read}");
        let dump = run(&format!("{flavor}dump"), &["--quick", "shop"]);
        assert!(dump.contains("INSERT INTO `stock` VALUES"), "{dump}");
    }
}

#[test]
fn a_killed_process_takes_its_servers_with_it() {
    let version = MysqlVersion::Mariadb1011;
    if mysql_or_skip(version, &controlled(), "a killed process").is_none() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    command.args(["mariadb", "10.11"]).stdout(Stdio::piped());
    let mut holder = command.process_group(0).spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let url = lines.next().transpose().unwrap().unwrap_or_default();
    assert!(url.starts_with("mysql://root@127.0.0.1:") && url.ends_with("/shop"), "{url}");
    let socket = lines.next().transpose().unwrap().unwrap_or_default();
    let directory = format!("/run/{}-1/", holder.id());
    assert_eq!(processes_with(&directory).len(), 1, "{socket}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !processes_with(&directory).is_empty() {
        assert!(Instant::now() < deadline, "waited in vain for the server to end");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_server_from_the_environment_lends_a_database_and_nothing_else() {
    let version = MysqlVersion::Mariadb1011;
    let Some(lender) = mysql_or_skip(version, &controlled(), "from the environment") else {
        return;
    };
    lender.execute("create user lender@'%' identified by 'its own'").unwrap();
    lender.execute("grant all privileges on *.* to lender@'%'").unwrap();
    let databases = lender.query("show databases").unwrap();
    let url = format!("mysql://lender:its%20own@127.0.0.1:{}", lender.port());
    let testbed = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
        command.env("TAILSTOCK_TEST_MARIADB_10_11", &url).stdin(Stdio::null());
        command
    };
    let mut run = testbed().args(["mariadb", "10.11"]).stdout(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(run.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let lent = format!("mysql://root@127.0.0.1:{}/testbed_{}_1", lender.port(), run.id());
    assert_eq!(line, lent);
    let interrupted = Command::new("sh").args(["-c", &format!("kill -INT {}", run.id())]).status();
    assert!(interrupted.unwrap().success());
    run.wait().unwrap();
    assert_eq!(lender.query("show databases").unwrap(), databases);

    let output = testbed().args(["mariadb", "10.11", "sync_binlog=0"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("this test needs one of its own"), "{text}");
}

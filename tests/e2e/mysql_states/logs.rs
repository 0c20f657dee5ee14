use std::path::Path;

use testbed::{MysqlOptions, MysqlVersion};

use super::{FAMILIES, LIMIT, STOCK, Server, compare, run, text};
use crate::support::{Tailstock, Workspace, eventually};

#[test]
fn a_log_of_mysql_or_mariadb_that_will_not_do_says_why() {
    let test = "a_log_of_mysql_or_mariadb_that_will_not_do_says_why";
    for server in Server::each(&MysqlOptions::default(), test) {
        for (name, exit, setting, value) in [
            ("format_statement", 4, "binlog_format", "STATEMENT"),
            ("format_mixed", 0, "binlog_format", "MIXED"),
            ("image_minimal", 0, "binlog_row_image", "MINIMAL"),
            ("checksum_none", 0, "binlog_checksum", "NONE"),
        ] {
            let before = server.mysql.value(&format!("SELECT @@GLOBAL.{setting}")).unwrap();
            server.sql(&format!("SET GLOBAL {setting} = {value}"));
            server.tells(name, exit);
            server.sql(&format!("SET GLOBAL {setting} = {before}"));
        }
    }
    for server in Server::each(&MysqlOptions::default().without_binlog(), test) {
        server.tells("binlog_off", 4);
    }
    for (setting, value) in [("binlog_do_db", "crm"), ("binlog_ignore_db", "shop")] {
        for server in Server::each(&MysqlOptions::default().setting(setting, value), test) {
            server.tells(setting, 4);
        }
    }
}

#[test]
fn a_replica_that_does_not_log_what_it_takes_over_says_so() {
    for version in FAMILIES {
        let (setting, follow) = match version {
            MysqlVersion::Mysql97 => {
                ("log_replica_updates", "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1'")
            }
            _ => (
                "log_slave_updates",
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1';
                 GRANT SLAVE MONITOR ON *.* TO tail@'%'",
            ),
        };
        let options = MysqlOptions::default().setting(setting, "OFF");
        let Some(server) = Server::start(version, &options, "a replica") else { continue };
        server.sql(follow);
        server.tells("replica_without_a_log_of_its_own", 4);
    }
}

/// Two installations that were made from one configuration.
#[tokio::test]
async fn a_reader_whose_number_another_one_has_says_so() {
    let test = "a_reader_whose_number_another_one_has_says_so";
    for server in Server::each(&MysqlOptions::default(), test) {
        let file = server.seller(&format!("server_id = 77\n{STOCK}"));
        let start = |workspace: &Workspace| {
            let password: &[_] = &[("RIGHT", Path::new("secret"))];
            Tailstock::start_in(workspace, &["--log-level", "warn", "run"], password)
        };
        let first = Workspace::new(Workspace::MAIN, &file);
        let mut older = start(&first);
        server.wait_until(
            "SELECT COUNT(*) = 1 FROM information_schema.processlist
             WHERE command LIKE 'Binlog Dump%'",
        );
        let second = Workspace::new(Workspace::MAIN, &file);
        let newer = start(&second);
        let told = eventually("the older reader says so", LIMIT, async || {
            let told = older.log();
            // What is wrong, and what to do about it.
            (told.lines().count() > 1).then_some(told)
        });
        compare(&format!("{}_server_id_of_another_reader", server.family), &told.await);
        // To come again would end the newer one, and so on for ever.
        assert_eq!(older.wait(LIMIT).await.code(), Some(4));
        drop(newer);
    }
}

/// Once it has run, what happens to the log while nobody looks is a gap, which is said.
#[test]
fn a_log_of_mysql_or_mariadb_that_is_gone_is_a_gap() {
    let test = "a_log_of_mysql_or_mariadb_that_is_gone_is_a_gap";
    for server in Server::each(&MysqlOptions::default(), test) {
        let workspace = Workspace::new(Workspace::MAIN, &server.seller(STOCK));
        let tells = |name: &str| {
            let output = run(&workspace);
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{name}: {told}");
            compare(&format!("{}_{name}", server.family), &known_places(&told));
        };
        tells("first_start");
        server.sql("INSERT INTO stock VALUES (1, 1, 'a'); FLUSH BINARY LOGS");
        server.sql("INSERT INTO stock VALUES (2, 2, 'b'); FLUSH BINARY LOGS");
        purge(&server);
        tells("purged_log");
        tells("after_a_gap");
        server.sql(match server.is_mariadb() {
            true => "RESET MASTER",
            false => "RESET BINARY LOGS AND GTIDS",
        });
        tells("reset_log");
    }
}

/// Removes all files of the log but the newest, once nobody reads them any more.
fn purge(server: &Server) {
    let gone = "SELECT COUNT(*) = 0 FROM information_schema.processlist
                WHERE command LIKE 'Binlog Dump%'";
    server.wait_until(gone);
    loop {
        let mut files = server.mysql.query("SHOW BINARY LOGS").unwrap();
        let newest = files.pop().unwrap()[0].clone().unwrap();
        if files.is_empty() {
            return;
        }
        // MariaDB keeps a file until its engines have been told of the last transaction in it.
        server.sql(&format!("PURGE BINARY LOGS TO '{newest}'"));
    }
}

/// Offsets and identities are another server's tomorrow.
fn known_places(told: &str) -> String {
    let patterns = [
        (r"(binlog\.\d{6})/\d+/\d+/", "$1/OFFSET/CREATED/"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r"\b0-\d+-(\d+)", "0-SERVER-$1"),
    ];
    let mut told = told.to_owned();
    for (pattern, word) in patterns {
        told = regex_lite::Regex::new(pattern).unwrap().replace_all(&told, word).into_owned();
    }
    told
}

//! The testbed by hand: `testbed prepare` fetches everything, `testbed postgres 15` runs a server.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use testbed::{
    Kafka, KafkaOptions, Mysql, MysqlOptions, MysqlVersion, PgVersion, Postgres, PostgresOptions,
    StartError, all_mysql_versions, all_versions,
};

const USAGE: &str = "usage: testbed prepare
           fetches and tries every server of TAILSTOCK_TEST_VERSIONS and
           TAILSTOCK_TEST_MYSQL_VERSIONS (default: all)
       testbed postgres [VERSION [SETTING=VALUE]...]
           runs one until Ctrl-C and prints its URL
       testbed mysql [9.7 [SETTING=VALUE]...]
       testbed mariadb [10.5 | 10.11 | 11.8 [SETTING=VALUE]...]
           the same
       testbed kafka [SETTING=VALUE]...
           runs a broker until Ctrl-C and prints its address";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["prepare"] => prepare(),
        ["postgres"] => run(PgVersion::at_hand(), &[]),
        ["postgres", version, settings @ ..] => match version.parse() {
            Ok(version) => run(version, settings),
            Err(error) => Err(io::Error::other(error)),
        },
        ["mysql"] => run_mysql("mysql-9.7", &[]),
        ["mariadb"] => run_mysql("mariadb-10.11", &[]),
        [flavor @ ("mysql" | "mariadb"), version, settings @ ..] => {
            run_mysql(&format!("{flavor}-{version}"), settings)
        }
        ["kafka", settings @ ..] => run_kafka(settings),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testbed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Versions are fetched side by side: one downloads while another unpacks.
fn prepare() -> io::Result<()> {
    let missing = std::thread::scope(|scope| {
        let postgres = |version| scope.spawn(move || try_version(version));
        let mysql = |version| scope.spawn(move || try_mysql(version));
        let mut tries: Vec<_> = all_versions().into_iter().map(postgres).collect();
        tries.extend(all_mysql_versions().into_iter().map(mysql));
        let tries = tries.into_iter().chain([scope.spawn(try_kafka)]);
        tries.filter_map(|tried| tried.join().ok()).filter(|ready| !ready).count()
    });
    match missing {
        0 => Ok(()),
        _ if std::env::var("CI").as_deref() != Ok("true") => Ok(()),
        _ => Err(io::Error::other(format!("{missing} servers are missing"))),
    }
}

fn try_version(version: PgVersion) -> bool {
    let begun = Instant::now();
    let server = Postgres::start(version, PostgresOptions::default());
    let line = match &server {
        Ok(server) => {
            let exact = server.value("show server_version").unwrap_or_default();
            let seconds = begun.elapsed().as_secs_f32();
            format!("PostgreSQL {exact}: ready in {seconds:.1} s from {}", server.origin())
        }
        Err(StartError::Unavailable(reason)) => format!("PostgreSQL {version}: {reason}"),
        Err(StartError::Failed(reason)) => format!("PostgreSQL {version} failed: {reason}"),
    };
    println!("{line}");
    server.is_ok()
}

fn try_mysql(version: MysqlVersion) -> bool {
    let begun = Instant::now();
    let server = Mysql::start(version, &MysqlOptions::default());
    let line = match &server {
        Ok(server) => {
            let exact = server.value("select version()").unwrap_or_default();
            let seconds = begun.elapsed().as_secs_f32();
            format!("{version}: {exact}, ready in {seconds:.1} s from {}", server.origin())
        }
        Err(StartError::Unavailable(reason)) => format!("{version}: {reason}"),
        Err(StartError::Failed(reason)) => format!("{version} failed: {reason}"),
    };
    println!("{line}");
    server.is_ok()
}

fn try_kafka() -> bool {
    let begun = Instant::now();
    let kafka = Kafka::start(&KafkaOptions::default());
    match &kafka {
        Ok(_) => {
            let seconds = begun.elapsed().as_secs_f32();
            println!("Kafka: ready in {seconds:.1} s from {}", Kafka::origin());
        }
        Err(StartError::Unavailable(reason)) => println!("Kafka: {reason}"),
        Err(StartError::Failed(reason)) => println!("Kafka failed: {reason}"),
    }
    kafka.is_ok()
}

fn run_kafka(settings: &[&str]) -> io::Result<()> {
    let options = settings.iter().try_fold(KafkaOptions::default(), |options, setting| {
        let (name, value) = setting.split_once('=').ok_or_else(|| io::Error::other(USAGE))?;
        Ok::<_, io::Error>(options.setting(name, value))
    })?;
    let kafka = Kafka::start(&options).map_err(io::Error::other)?;
    until_interrupted(&kafka.bootstrap())
}

fn run(version: PgVersion, settings: &[&str]) -> io::Result<()> {
    let options = settings.iter().try_fold(PostgresOptions::default(), |options, setting| {
        let (name, value) = setting.split_once('=').ok_or_else(|| io::Error::other(USAGE))?;
        Ok::<_, io::Error>(options.setting(name, value))
    })?;
    let server = Postgres::start(version, options).map_err(io::Error::other)?;
    let mut text = server.url("postgres", server.database());
    if let Some(directory) = server.socket_dir() {
        let directory = directory.display();
        text.push_str(&format!("\npsql -h {directory} -p {} -U postgres", server.port()));
    }
    until_interrupted(&text)
}

fn run_mysql(version: &str, settings: &[&str]) -> io::Result<()> {
    let version = version.parse().map_err(io::Error::other::<String>)?;
    let options = settings.iter().try_fold(MysqlOptions::default(), |options, setting| {
        let (name, value) = setting.split_once('=').ok_or_else(|| io::Error::other(USAGE))?;
        Ok::<_, io::Error>(options.setting(name, value))
    })?;
    let server = Mysql::start(version, &options).map_err(io::Error::other)?;
    let mut text = server.url("root", server.database());
    if let Ok(socket) = server.socket() {
        text.push_str(&format!("\nsocket: {}", socket.display()));
    }
    until_interrupted(&text)
}

fn until_interrupted(text: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Whoever reads the text may interrupt at once.
        let mut interrupt = signal(SignalKind::interrupt())?;
        println!("{text}");
        io::stdout().flush()?;
        interrupt.recv().await;
        Ok(())
    })
}

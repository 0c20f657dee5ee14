//! What a test does that cannot get its server: fail where `CI=true`, else be named as skipped.

use std::io::Write;

use crate::{
    Kafka, KafkaOptions, Mysql, MysqlOptions, MysqlVersion, PgVersion, Postgres, PostgresOptions,
    StartError, all_mysql_versions, all_versions,
};

/// A private server for the test named `test`, or `None` when there is none to be had here.
///
/// `None` was reported on standard error as `skipped: <test>: <reason>`. With `CI=true` a missing
/// server panics instead, unless `TAILSTOCK_TEST_VERSIONS` leaves that version out.
///
/// # Panics
/// When the server was there but did not start as asked: that is a fault, never a reason to skip.
#[must_use]
pub fn postgres_or_skip(
    version: PgVersion,
    options: PostgresOptions,
    test: &str,
) -> Option<Postgres> {
    if !all_versions().contains(&version) {
        report(test, &format!("TAILSTOCK_TEST_VERSIONS leaves PostgreSQL {version} out"));
        return None;
    }
    or_skip(Postgres::start(version, options), test)
}

/// A private server for the test named `test`, or `None` when there is none to be had here;
/// reported and refused as by [`postgres_or_skip`], with `TAILSTOCK_TEST_MYSQL_VERSIONS`.
///
/// # Panics
/// When the server was there but did not start as asked.
#[must_use]
pub fn mysql_or_skip(version: MysqlVersion, options: &MysqlOptions, test: &str) -> Option<Mysql> {
    unless_left_out(version, test, || Mysql::start(version, options))
}

/// A database on a server that the tests of this process share, see [`Mysql::shared`]; else as
/// [`mysql_or_skip`].
///
/// # Panics
/// As [`mysql_or_skip`].
#[must_use]
pub fn shared_mysql_or_skip(version: MysqlVersion, test: &str) -> Option<Mysql> {
    unless_left_out(version, test, || Mysql::shared(version))
}

fn unless_left_out(
    version: MysqlVersion,
    test: &str,
    start: impl FnOnce() -> Result<Mysql, StartError>,
) -> Option<Mysql> {
    if !all_mysql_versions().contains(&version) {
        report(test, &format!("TAILSTOCK_TEST_MYSQL_VERSIONS leaves {version} out"));
        return None;
    }
    or_skip(start(), test)
}

/// A private cluster for the test named `test`, or `None` when there is none to be had here;
/// reported and refused as by [`postgres_or_skip`].
///
/// # Panics
/// When there are brokers and they did not start as asked.
#[must_use]
pub fn kafka_or_skip(options: &KafkaOptions, test: &str) -> Option<Kafka> {
    or_skip(Kafka::start(options), test)
}

/// For the test named `test`, which could not mount a file system: reported as by
/// [`postgres_or_skip`].
///
/// # Panics
/// With `CI=true`, where this process has the right to mount, as root has outside of containers:
/// then something else is wrong.
pub fn skip_unmounted(test: &str) {
    assert!(!(in_ci() && may_mount()), "{test}: a file system could not be mounted");
    report(test, "this process may not mount a file system");
}

/// Whether `CAP_SYS_ADMIN` is in the set of the process's rights, see capabilities(7).
fn may_mount() -> bool {
    const SYS_ADMIN: u32 = 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = rights.and_then(|rights| u64::from_str_radix(rights.trim(), 16).ok());
    rights.is_some_and(|rights| rights & (1 << SYS_ADMIN) != 0)
}

fn or_skip<T>(started: Result<T, StartError>, test: &str) -> Option<T> {
    match started {
        Ok(server) => Some(server),
        Err(StartError::Unavailable(reason)) if !in_ci() => {
            report(test, &reason);
            None
        }
        Err(error) => panic!("{test}: {error}"),
    }
}

/// Whether a missing server is a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

fn report(test: &str, reason: &str) {
    // Not `eprintln!`: the test runner swallows that for tests that pass.
    let line = format!("skipped: {test}: {reason}\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
}

//! A server that somebody else runs, named in the environment.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::sql::{self, ServerError};

/// A database of our own on such a server; it is dropped with the value.
#[derive(Debug)]
pub(super) struct Given {
    variable: String,
    superuser: Config,
    database: String,
}

impl Given {
    pub(super) fn open(variable: String, superuser: Config) -> Result<Given, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let level = sql::run(&superuser, "show wal_level")?;
        let level = level.into_iter().flatten().next().flatten().unwrap_or_default();
        if level != "logical" {
            let text = format!("wal_level is {level}, wanted logical: change it on that server");
            return Err(ServerError(format!("{variable}: {text}")));
        }
        let database = format!("testbed_{}_{number}", std::process::id());
        sql::run(&superuser, &format!("create database {database} template template0"))?;
        Ok(Given { variable, superuser, database })
    }

    pub(super) fn variable(&self) -> &str {
        &self.variable
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) fn admin(&self) -> Config {
        let mut config = self.superuser.clone();
        config.dbname(&self.database);
        config
    }

    pub(super) fn host(&self) -> &str {
        match self.superuser.get_hosts().first() {
            Some(Host::Tcp(name)) => name,
            _ => "127.0.0.1",
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.superuser.get_ports().first().copied().unwrap_or(5432)
    }

    /// The password in the environment, if it is this user's.
    pub(super) fn password(&self, user: &str) -> Option<String> {
        let ours = self.superuser.get_user() == Some(user);
        let password = self.superuser.get_password().filter(|_| ours)?;
        Some(String::from_utf8_lossy(password).into_owned())
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let database = &self.database;
        let slots = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
             where database = '{database}' and not active"
        );
        // What stays behind is the server's owner's to see; a test must not fail for it.
        drop(sql::run(&self.superuser, &slots));
        drop(sql::run(&self.superuser, &format!("drop database {database} with (force)")));
    }
}

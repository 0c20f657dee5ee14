use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::{Opts, OptsBuilder};

use super::sql;
use crate::ServerError;

/// A database of our own on a server that others use too; it is dropped with the value.
#[derive(Debug)]
pub(super) struct Lent {
    superuser: Opts,
    database: String,
}

impl Lent {
    pub(super) fn open(superuser: Opts) -> Result<Lent, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let database = format!("testbed_{}_{number}", std::process::id());
        sql::run(&superuser, &format!("create database {database}"))?;
        Ok(Lent { superuser, database })
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) fn admin(&self) -> Opts {
        OptsBuilder::from_opts(self.superuser.clone()).db_name(Some(&self.database)).into()
    }

    pub(super) fn superuser(&self) -> &Opts {
        &self.superuser
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // What stays behind is the server's owner's to see; a test must not fail for it.
        drop(sql::run(&self.superuser, &format!("drop database {}", self.database)));
    }
}

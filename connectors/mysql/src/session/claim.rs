//! Who reads under a number. Of two dumps with one server id the server keeps the later: two
//! installations that both come again would end each other for ever. So each holds a lock of the
//! server while it reads, which goes with its connection and needs no privilege, and waits for
//! another installation that was there first.

use connector_api::{Error, Result};

use super::select::Unanswered;
use super::{Doing, Session};
use crate::server_id::digest;

/// ER_UNKNOWN_ERROR: what a Percona XtraDB Cluster answers to GET_LOCK, whose locks are not those
/// of the other nodes (`pxc_strict_mode`).
const REFUSED: u16 = 1105;

/// Seconds for a connection that was told to end to let go.
const RELEASE_SECONDS: u32 = 10;

impl Session {
    /// Makes this session the one that reads under its number. A predecessor of the same
    /// installation, which is no longer in charge, is ended.
    ///
    /// # Errors
    /// [`connector_api::Fault::Held`] when another installation reads under the number.
    pub(crate) async fn claim(&mut self) -> Result<()> {
        let number = self.config.server_id;
        let Some(installation) = &self.config.installation else { return Ok(()) };
        let everybody = format!("tailstock {number}");
        let ours = format!("tailstock {number} {:016x}", digest(installation));
        let sql = format!("SELECT IS_USED_LOCK('{everybody}'), IS_USED_LOCK('{ours}')");
        let found = self.query(&sql).await?.into_iter().next().unwrap_or_default();
        let mut found = found.into_iter();
        let (holder, predecessor) = (found.next().flatten(), found.next().flatten());
        let mut wait = 0;
        match &holder {
            Some(holder) if predecessor.as_ref() == Some(holder) => {
                let holder: u64 = holder.parse().map_err(|_| strange(holder))?;
                // It may have gone in between.
                let _ = self.query(&format!("KILL {holder}")).await;
                wait = RELEASE_SECONDS;
            }
            Some(holder) => return Err(self.held(holder).await?),
            None => {}
        }
        let sql = format!("SELECT GET_LOCK('{everybody}', {wait}) + GET_LOCK('{ours}', {wait})");
        let locked = match self.rows(&sql).await {
            Ok(table) => table.first().into_iter().next().flatten(),
            Err(Unanswered::Broken(error)) => return Err(error),
            // Two with one number are told by the server then, as it ends the dump of one.
            Err(Unanswered::Said(told)) if told.code == REFUSED => return Ok(()),
            Err(Unanswered::Said(told)) => {
                return Err(told.classify(&Doing::Asking(&sql), &self.config, self.flavor()));
            }
        };
        match locked.as_deref() {
            Some("2") => Ok(()),
            _ => Err(self.held(holder.as_deref().unwrap_or("unknown")).await?),
        }
    }

    /// Makes sure that nobody reads under the session's number.
    ///
    /// # Errors
    /// [`connector_api::Fault::Held`] when somebody does.
    pub(crate) async fn unclaimed(&mut self) -> Result<()> {
        let number = self.config.server_id;
        let sql = format!("SELECT IS_USED_LOCK('tailstock {number}')");
        match self.value(&sql).await? {
            None => Ok(()),
            Some(holder) => {
                let by = self.described(&holder).await?;
                Err(Error::held(format!("the log is being read as server {number} by {by}"), by))
            }
        }
    }

    async fn held(&mut self, holder: &str) -> Result<Error> {
        let number = self.config.server_id;
        let by = self.described(holder).await?;
        let what = format!(
            "server_id {number} is in use by another installation of tailstock ({by}); where both \
             are to read, one of them needs a server_id of its own"
        );
        Ok(Error::held(what, by))
    }

    /// A connection of the server, for people.
    async fn described(&mut self, holder: &str) -> Result<String> {
        let mut by = format!("connection {holder} of the server");
        if let Ok(id) = holder.parse::<u64>() {
            let sql = format!("SELECT host FROM information_schema.processlist WHERE id = {id}");
            if let Some(host) = self.value(&sql).await? {
                by = format!("{by}, from {host}");
            }
        }
        Ok(by)
    }
}

fn strange(holder: &str) -> Error {
    Error::definite(format!("the server says that {holder:?} is the number of a connection"))
}

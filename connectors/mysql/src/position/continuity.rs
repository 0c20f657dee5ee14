use std::fmt;
use std::str::FromStr;

use connector_api::{Continuity, ResumePoint};

use super::file::LogFile;
use super::gtid_set::GtidSet;
use super::identity::LogIdentity;
use super::mariadb::MariaState;
use super::place::{Gtids, LogPosition};

/// What a server says of its log.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// Which server it is.
    pub identity: LogIdentity,
    /// What SHOW BINARY LOGS lists, oldest first.
    pub logs: Vec<ListedLog>,
    /// When the file of the checkpoint was begun, read again from the file of that name; `None`
    /// when there is none, or it cannot be read.
    pub created: Option<u32>,
    /// Which transactions its log has been through.
    pub history: History,
}

/// A line of SHOW BINARY LOGS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLog {
    /// The file.
    pub file: LogFile,
    /// Its length in bytes.
    pub size: u64,
}

impl ListedLog {
    /// Whether somebody has removed it behind the server's back. Such a file is listed without a
    /// byte; an empty one has the four that all begin with.
    pub fn is_gone(&self) -> bool {
        self.size == 0
    }
}

/// The transactions a server's log has been through.
#[derive(Debug, Clone)]
pub enum History {
    /// Of MySQL.
    MySql {
        /// `@@gtid_mode`.
        mode: GtidMode,
        /// `@@gtid_executed`.
        executed: GtidSet,
        /// `@@gtid_purged`: those that are in no file any more.
        purged: GtidSet,
    },
    /// Of MariaDB.
    MariaDb {
        /// `@@gtid_binlog_state`. The position alone says nothing of which servers counted.
        state: MariaState,
        /// The list at the head of the oldest file: what is in no file any more.
        purged: MariaState,
        /// Whether other servers of the same data have given the same numbers to other
        /// transactions: nodes of a Galera cluster do.
        counts_alone: bool,
    },
}

/// Which transactions a MySQL server names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GtidMode {
    /// None of them.
    Off,
    /// None of its own, but maybe those of others.
    OffPermissive,
    /// Its own, but maybe not those of others.
    OnPermissive,
    /// All of them.
    On,
}

/// A value `gtid_mode` cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a gtid_mode: OFF, OFF_PERMISSIVE, ON_PERMISSIVE or ON")]
pub struct NotAGtidMode;

impl FromStr for GtidMode {
    type Err = NotAGtidMode;

    fn from_str(text: &str) -> Result<Self, NotAGtidMode> {
        let all = [Self::Off, Self::OffPermissive, Self::OnPermissive, Self::On];
        let named = |mode: &Self| mode.to_string().eq_ignore_ascii_case(text);
        all.into_iter().find(named).ok_or(NotAGtidMode)
    }
}

impl fmt::Display for GtidMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "OFF",
            Self::OffPermissive => "OFF_PERMISSIVE",
            Self::OnPermissive => "ON_PERMISSIVE",
            Self::On => "ON",
        })
    }
}

/// Whether the log behind a remembered position is provably whole. A server keeps no position for
/// us, so that without a checkpoint there is nothing to go on from.
pub fn continuity(last: Option<&ResumePoint>, server: &ServerFacts) -> Continuity {
    let Some(last) = last else { return Continuity::New };
    prove(last, server).unwrap_or_else(|reason| Continuity::Broken { reason, from: None })
}

/// Ends with the reason why nothing can be proved.
fn prove(last: &ResumePoint, server: &ServerFacts) -> Result<Continuity, String> {
    let remembered = LogIdentity::from_lineage(&last.lineage)
        .ok_or("the checkpoint is of another kind of database")?;
    let place = LogPosition::from_position(&last.position).map_err(|error| error.to_string())?;
    let (now, then) = (server.identity.product(), remembered.product());
    if now != then {
        return Err(format!("a {now} server answers where the checkpoint is of {then}"));
    }
    let (Some(oldest), Some(newest)) = (server.logs.first(), server.logs.last()) else {
        return Err("the server lists no binary logs: log_bin is off".to_owned());
    };
    let reason = if remembered != server.identity {
        let now = server.identity;
        format!("another server answers: {now} where the checkpoint is of {remembered}")
    } else if place.is_by_transactions() {
        return contained(&place.gtids, &server.history).map(|()| Continuity::Intact);
    } else if let Some(nth) = server.logs.iter().position(|log| log.file == place.file) {
        let rest = &server.logs[nth..];
        if let Some(gone) = rest.iter().find(|log| log.is_gone()) {
            return Err(format!("{} is listed, and is not there any more", gone.file));
        }
        return same_file(&place, &rest[0], server.created).map(|()| Continuity::Intact);
    } else {
        without_file(&place, &oldest.file, &newest.file)?
    };
    match contained(&place.gtids, &server.history) {
        Ok(()) => {
            let position = place.elsewhere().to_position();
            Ok(Continuity::Renumbered { reason, position })
        }
        Err(why) => Err(format!("{reason}; {why}")),
    }
}

/// The file of that name is the one of the checkpoint, and reaches as far. If not, the server has
/// counted anew: its transactions may bear the names of those that were read, and prove nothing.
fn same_file(place: &LogPosition, found: &ListedLog, created: Option<u32>) -> Result<(), String> {
    let (file, size) = (&found.file, found.size);
    let Some(created) = created else {
        return Err(format!("{file} is listed, but its beginning cannot be read"));
    };
    if created != place.created {
        return Err(format!(
            "{file} is another file of the same name, begun at {created} and not at {}: \
             the log was reset, or the server restored",
            place.created
        ));
    }
    if size < place.offset {
        return Err(format!(
            "{file} ends at {size}, before the checkpoint at {}: the server was restored, or has \
             lost the end of its log in a crash",
            place.offset
        ));
    }
    Ok(())
}

/// Why the file of the checkpoint is not there, where the transactions may still prove that
/// nothing is missing; an error where they prove nothing, as the server has counted anew.
fn without_file(place: &LogPosition, oldest: &LogFile, newest: &LogFile) -> Result<String, String> {
    let file = &place.file;
    if newest.base() != file.base() {
        return Ok(format!(
            "the binary logs are called {} where the checkpoint is in {file}",
            newest
        ));
    }
    if newest.number() < file.number() {
        return Err(format!(
            "the server's log ends with {newest}, before the checkpoint in {file}: \
             the log was reset, or the server restored"
        ));
    }
    Ok(format!("{file} of the checkpoint is purged: the oldest file is {oldest}"))
}

/// The server has all that was read, and still has in its files all that was not.
fn contained(read: &Gtids, history: &History) -> Result<(), String> {
    match (read, history) {
        (Gtids::MySql(read), History::MySql { mode, executed, purged }) => {
            if *mode != GtidMode::On {
                return Err(format!("with gtid_mode {mode} transactions may have no GTID"));
            }
            verdict(read.is_empty(), &read.subtract(executed), &purged.subtract(read))
        }
        (Gtids::MariaDb(_), History::MariaDb { counts_alone: true, .. }) => {
            Err("nodes of a Galera cluster count transactions each for itself: a GTID proves \
                 nothing on another one"
                .to_owned())
        }
        (Gtids::MariaDb(read), History::MariaDb { state, purged, .. }) => {
            let listed = |gtids: Vec<String>| gtids.join(",");
            let missing = read.gtids().filter(|gtid| !state.holds(gtid));
            let gone = purged.gtids().filter(|gtid| !read.is_behind(gtid));
            let missing = listed(missing.map(|gtid| gtid.to_string()).collect());
            verdict(read.is_empty(), &missing, &listed(gone.map(|gtid| gtid.to_string()).collect()))
        }
        _ => Err("the checkpoint has no GTIDs, which alone could prove the rest".to_owned()),
    }
}

/// `missing` is what was read and is not on the server, `gone` what it purged and was not read.
fn verdict(
    nothing_read: bool,
    missing: &impl fmt::Display,
    gone: &impl fmt::Display,
) -> Result<(), String> {
    let (missing, gone) = (shortened(missing), shortened(gone));
    if nothing_read {
        return Err("the checkpoint is from before the first GTID, which proves nothing".to_owned());
    }
    if !missing.is_empty() {
        return Err(format!("the server has never had {missing}, which the checkpoint has"));
    }
    if !gone.is_empty() {
        return Err(format!("the server has purged {gone}, which the checkpoint has not"));
    }
    Ok(())
}

/// A set may name thousands of ranges.
fn shortened(set: &impl fmt::Display) -> String {
    const MAX: usize = 200;
    let text = set.to_string();
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;

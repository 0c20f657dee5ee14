//! What went wrong with a read, and what mends it.

use connector_api::{Error, TableName};

use super::table::Plan;
use super::{CHUNK_SECONDS, MysqlSnapshot};
use crate::doctor::{identifier, qualified};
use crate::session::{Doing, ServerMessage, Unanswered};
use crate::value::Unreadable;

/// There is no column of that name.
pub(super) const NO_COLUMN: u16 = 1054;
/// There is no such table, or database.
const NO_TABLE: [u16; 3] = [1146, 1049, 1051];
/// The account may not read the database, the table, or the column.
const REFUSED: [u16; 4] = [1044, 1142, 1143, 1370];
/// The statement took longer than it may: MySQL's number, and MariaDB's.
const TOO_LONG: [u16; 2] = [3024, 1969];
/// There is no column or index of that name any more; the definition has changed since the
/// transaction began, or since the statement was prepared.
const ALTERED: [u16; 4] = [NO_COLUMN, 1176, 1412, 1615];

/// A table was altered while it was read.
pub(super) fn was_altered(table: &TableName) -> Error {
    Error::transient(format!("table {} was altered while it was read", qualified(table)))
}

/// A value that is not read, which is said of its column.
pub(super) fn unreadable(table: &TableName, column: &str, why: &Unreadable) -> Error {
    Error::operator(
        format!("table {} cannot be read: its column {}: {why}", qualified(table), column),
        format!(
            "change the type or character set of {} as it says, or leave the column out of the \
             mapping",
            identifier(column)
        ),
    )
}

impl MysqlSnapshot {
    /// An error of a question about tables.
    pub(super) fn failed(&self, error: Unanswered) -> Error {
        match error {
            Unanswered::Broken(error) => error,
            Unanswered::Said(told) => self.classified(&told, "reading what is in tables"),
        }
    }

    fn classified(&self, told: &ServerMessage, doing: &str) -> Error {
        told.classify(&Doing::Asking(doing), &self.config, self.session.flavor())
    }

    /// An error of a read of a table.
    pub(super) fn refused(&mut self, error: Unanswered, plan: &Plan) -> Error {
        let name = qualified(&plan.name);
        let told = match error {
            Unanswered::Broken(error) => return error,
            Unanswered::Said(told) => told,
        };
        match told.code {
            code if NO_TABLE.contains(&code) => self.is_missing(&plan.name),
            code if REFUSED.contains(&code) => self.may_not_read(plan),
            code if TOO_LONG.contains(&code) => Error::transient(format!(
                "a chunk of table {name} took longer than {CHUNK_SECONDS} s and was cancelled, as \
                 no read may hold up the shop; it is tried again"
            )),
            code if ALTERED.contains(&code) => {
                self.was_altered = true;
                was_altered(&plan.name)
            }
            _ => self.classified(&told, &format!("reading table {name}")),
        }
    }

    /// The account may not select what is needed of a table.
    pub(super) fn may_not_read(&self, plan: &Plan) -> Error {
        let (name, account) = (qualified(&plan.name), &self.account);
        let refused: Vec<String> =
            plan.unreadable().into_iter().chain(plan.unseen()).map(identifier).collect();
        let what = match refused.is_empty() {
            true => name.clone(),
            false => format!("{} of {name}", refused.join(", ")),
        };
        let needed: Vec<String> = plan.needed().into_iter().map(identifier).collect();
        Error::operator(
            format!("table {name} cannot be read as it is: {account} may not read {what}"),
            format!("GRANT SELECT ({}) ON {name} TO {account};", needed.join(", ")),
        )
    }

    pub(super) fn is_missing(&self, table: &TableName) -> Error {
        let (name, account) = (qualified(table), &self.account);
        Error::operator(
            format!("table {name} does not exist, or {account} may not see it"),
            format!(
                "GRANT SELECT ON {name} TO {account}; where there is no such table any more, take \
                 it out of the mapping"
            ),
        )
    }

    /// Only what has rows of its own, whose changes are in the log, can be read beside it.
    pub(super) fn check_kind(&self, table: &TableName, kind: &str) -> Result<(), Error> {
        if !kind.ends_with("VIEW") && kind != "SEQUENCE" {
            return Ok(());
        }
        Err(Error::operator(
            format!(
                "{} is a {}, not a table: its changes are in no log",
                qualified(table),
                kind.to_lowercase()
            ),
            "map the table behind it",
        ))
    }
}

use connector_api::{Error, Fault};
use postgres_protocol::message::backend::ErrorResponseBody;

use crate::config::{PostgresConfig, Slot, SslMode};
use crate::doctor::identifier;

const UNDEFINED_OBJECT: &str = "42704";
const WRONG_STATE: &str = "55000";

/// What the server said, without the parts that may hold a row's content (DETAIL, CONTEXT).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerMessage {
    /// SQLSTATE.
    pub(crate) code: String,
    /// The primary message.
    pub(crate) message: String,
    /// The function of the server that said it: never translated, as the message may be.
    routine: String,
}

impl ServerMessage {
    pub(crate) fn of(body: &ErrorResponseBody) -> Self {
        use fallible_iterator::FallibleIterator as _;
        let mut told = Self::default();
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            told.field(field.type_(), field.value_bytes());
        }
        told
    }

    /// Reads the body of an ErrorResponse: fields of a type byte and text up to a zero.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut told = Self::default();
        for field in body.split(|byte| *byte == 0) {
            if let Some((kind, text)) = field.split_first() {
                told.field(*kind, text);
            }
        }
        told
    }

    fn field(&mut self, kind: u8, text: &[u8]) {
        let place = match kind {
            b'C' => &mut self.code,
            b'M' => &mut self.message,
            b'R' => &mut self.routine,
            _ => return,
        };
        *place = String::from_utf8_lossy(text).into_owned();
    }

    pub(crate) fn of_sql(error: &tokio_postgres::Error) -> Option<Self> {
        let error = error.as_db_error()?;
        Some(Self {
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            routine: error.routine().unwrap_or_default().to_owned(),
        })
    }

    /// Whether a warning says that changes are passed over, as from PostgreSQL 18 on they are
    /// while the publication does not exist; servers before it fail.
    pub(crate) fn missing_publication(&self, config: &PostgresConfig) -> Option<Error> {
        let what = || format!("streaming: {} ({})", self.message, self.code);
        (self.code == WRONG_STATE).then(|| Error::operator(what(), make_publication(config)))
    }

    /// Whether the slot to stream from is not there, or not to be read any more: when a stream is
    /// asked for, nothing else is looked for, and a slot that the server has given up keeps its
    /// place.
    pub(crate) fn is_about_the_slot(&self) -> bool {
        [UNDEFINED_OBJECT, WRONG_STATE].contains(&&*self.code)
    }

    /// What it asks for. The server's code decides, never its words.
    pub(crate) fn classify(&self, config: &PostgresConfig, doing: &str) -> Error {
        let what = format!("{doing}: {} ({})", self.message, self.code);
        // pg_hba.conf and the role itself have one code; only the place in the server differs.
        let of_role = self.code == "28000" && self.routine == "InitializeSessionUserId";
        match if of_role { no_role(config) } else { fault(&self.code, config) } {
            Fault::Operator { fix } => Error::operator(what, fix),
            Fault::Held { by } => Error::held(what, by),
            Fault::Transient => Error::transient(what),
            Fault::Definite | Fault::Bug => Error::definite(what),
        }
    }
}

/// What an SQLSTATE asks for.
fn fault(code: &str, config: &PostgresConfig) -> Fault {
    let (user, database) = (identifier(&config.user), identifier(&config.database));
    let fix = match code {
        "28P01" => {
            format!("set the right password for {user} in the seller's file ([source] password)")
        }
        "28000" => let_in(config, &user, &database),
        "3D000" => "name an existing database in the URL".to_owned(),
        "42501" => format!("ALTER ROLE {user} REPLICATION;"),
        UNDEFINED_OBJECT => make_publication(config),
        WRONG_STATE => {
            "the server is not set up for this: check wal_level = logical, and that the \
             slot is still valid (SELECT * FROM pg_replication_slots)"
                .to_owned()
        }
        "53400" => "raise max_replication_slots, or drop a slot nobody uses \
             (SELECT * FROM pg_replication_slots WHERE NOT active)"
            .to_owned(),
        "57P04" => "restore the database, or name another one in the URL".to_owned(),
        "55006" => return Fault::Held { by: "another process".to_owned() },
        // Cancelled, or lost against another session, or not waited for, or open for too long.
        "40001" | "40P01" | "55P03" | "25P03" | "25P04" => return Fault::Transient,
        // Connection, resources, operator at work (shutdown, start-up), the server's system.
        code if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            return Fault::Transient;
        }
        _ => return Fault::Definite,
    };
    Fault::Operator { fix }
}

/// The log is read with the catalog of its own time: making the publication again does not help
/// what was written without it.
fn make_publication(config: &PostgresConfig) -> String {
    let publication = identifier(&config.publication);
    let slot = match &config.slot {
        Slot::Named(slot) | Slot::Unconfirmed(slot) => slot,
        Slot::Temporary => "",
    };
    let remedy = format!("CREATE PUBLICATION {publication} FOR TABLE ...;");
    if slot.is_empty() {
        return remedy;
    }
    format!(
        "{remedy} and, since what was written without it cannot be read any more, \
         SELECT pg_drop_replication_slot('{slot}');"
    )
}

fn no_role(config: &PostgresConfig) -> Fault {
    let user = identifier(&config.user);
    Fault::Operator {
        fix: format!(
            "name another role in the URL, or make this one: CREATE ROLE {user} LOGIN REPLICATION; \
             and where it exists ALTER ROLE {user} LOGIN REPLICATION;"
        ),
    }
}

/// The server has one code for everything its `pg_hba.conf` does not like.
fn let_in(config: &PostgresConfig, user: &str, database: &str) -> String {
    let remedy = if config.tls.mode == SslMode::Disable {
        "write sslmode=verify-full if that server wants TLS, else"
    } else if config.tls.client.is_some() {
        "let the certificate's CN be the role's name, or map it in pg_ident.conf, else"
    } else {
        "give sslcert and sslkey if that server wants a client certificate, else"
    };
    format!(
        "{remedy} let {user} in: ALTER ROLE {user} LOGIN REPLICATION; and a line in pg_hba.conf \
         such as: hostssl {database} {user} ADDRESS scram-sha-256, then SELECT pg_reload_conf();"
    )
}

/// An error of ordinary SQL.
pub(crate) fn sql(error: tokio_postgres::Error, config: &PostgresConfig, doing: &str) -> Error {
    match ServerMessage::of_sql(&error) {
        Some(message) => message.classify(config, doing),
        None => Error::transient(format!("{doing}: the connection broke")).because(error),
    }
}

#[cfg(test)]
mod tests;

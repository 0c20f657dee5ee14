use connector_api::Error;
use postgres_protocol::message::backend::ErrorResponseBody;

use crate::config::PostgresConfig;

/// What the server said, without the parts that may hold a row's content (DETAIL, CONTEXT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerMessage {
    /// SQLSTATE.
    pub(crate) code: String,
    /// The primary message.
    pub(crate) message: String,
}

impl ServerMessage {
    pub(crate) fn of(body: &ErrorResponseBody) -> Self {
        use fallible_iterator::FallibleIterator as _;
        let (mut code, mut message) = (String::new(), String::new());
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => code = value,
                b'M' => message = value,
                _ => {}
            }
        }
        Self { code, message }
    }

    /// Reads the body of an ErrorResponse: fields of a type byte and text up to a zero.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let (mut code, mut message) = (String::new(), String::new());
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => code = text,
                b'M' => message = text,
                _ => {}
            }
        }
        Self { code, message }
    }

    pub(crate) fn of_sql(error: &tokio_postgres::Error) -> Option<Self> {
        let error = error.as_db_error()?;
        Some(Self { code: error.code().code().to_owned(), message: error.message().to_owned() })
    }

    /// What it asks for. The server's code decides, never its words.
    pub(crate) fn classify(&self, config: &PostgresConfig, doing: &str) -> Error {
        let what = format!("{doing}: {} ({})", self.message, self.code);
        let (user, database) = (&config.user, &config.database);
        match self.code.as_str() {
            "28P01" => Error::operator(
                what,
                format!(
                    "set the right password for {user} in the seller's file ([source] password)"
                ),
            ),
            "28000" => Error::operator(
                what,
                format!(
                    "let {user} in: ALTER ROLE {user} LOGIN REPLICATION; and a line in pg_hba.conf \
                     such as: hostssl {database} {user} ADDRESS scram-sha-256"
                ),
            ),
            "3D000" => Error::operator(what, "name an existing database in the URL"),
            "42501" => Error::operator(what, format!("ALTER ROLE {user} REPLICATION;")),
            "55000" => Error::operator(
                what,
                "the server is not set up for this: check wal_level = logical, and that the slot \
                 is still valid (SELECT * FROM pg_replication_slots)",
            ),
            "55006" => Error::held(what, "another process"),
            "53400" => Error::operator(
                what,
                "raise max_replication_slots, or drop a slot nobody uses \
                 (SELECT * FROM pg_replication_slots WHERE NOT active)",
            ),
            // Shutting down, starting up, too many connections, and all of class 08: connection.
            "57P01" | "57P02" | "57P03" | "57014" | "53300" | "40001" | "40P01" => {
                Error::transient(what)
            }
            code if code.starts_with("08") || code.starts_with("53") || code.starts_with("58") => {
                Error::transient(what)
            }
            _ => Error::definite(what),
        }
    }
}

/// An error of ordinary SQL.
pub(crate) fn sql(error: tokio_postgres::Error, config: &PostgresConfig, doing: &str) -> Error {
    match ServerMessage::of_sql(&error) {
        Some(message) => message.classify(config, doing),
        None => Error::transient(format!("{doing}: the connection broke")).because(error),
    }
}

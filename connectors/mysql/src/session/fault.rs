use connector_api::{Error, Fault};
use connector_transport::Host;

use crate::config::{MysqlConfig, SslMode};
use crate::log::Flavor;

/// What the server said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// The error's number.
    pub code: u16,
    /// SQLSTATE; empty before the server knows that we know it.
    pub state: String,
    /// The message, in the server's language.
    pub message: String,
}

/// What was going on when the server said it.
#[derive(Debug, Clone, Copy)]
pub enum Doing<'a> {
    /// A login to this host.
    LoggingIn(&'a Host),
    /// This statement.
    Asking(&'a str),
    /// A dump of the binlog.
    Streaming,
    /// The same, to see whether there is one.
    Trying,
}

impl ServerMessage {
    /// Reads the body of an ERR packet, behind its first byte.
    pub fn read(body: &[u8]) -> Self {
        let Some((code, rest)) = body.split_first_chunk::<2>() else { return Self::default() };
        let (state, message) = match rest.split_first() {
            Some((b'#', rest)) => rest.split_at_checked(5).unwrap_or((rest, &[])),
            _ => (&[][..], rest),
        };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { code: u16::from_le_bytes(*code), state: text(state), message: text(message) }
    }

    /// What it asks for. The number decides, and of the numbers that stand for everything the
    /// words, which no server translates.
    pub fn classify(&self, doing: &Doing<'_>, config: &MysqlConfig, flavor: Flavor) -> Error {
        let Self { code, message, .. } = self;
        let user = &config.user;
        let what = match doing {
            Doing::LoggingIn(host) => format!("logging in to {host} as {user}: {message} ({code})"),
            Doing::Asking(sql) => format!("{}: {message} ({code})", command(sql)),
            // What servers say of it counts bytes, and never the same ones.
            Doing::Streaming if self.names_a_taken_number() => format!(
                "another reader of the log came with the server id {} and took this stream's \
                 place ({code})",
                config.server_id
            ),
            Doing::Streaming => format!("streaming: {message} ({code})"),
            Doing::Trying => {
                format!("the server does not go on behind what was read: {message} ({code})")
            }
        };
        match self.fault(doing, &Remedies { config, flavor }) {
            Fault::Operator { fix } => Error::operator(what, fix),
            Fault::Transient => Error::transient(what),
            Fault::Definite | Fault::Held { .. } | Fault::Bug => Error::definite(what),
        }
    }

    fn fault(&self, doing: &Doing<'_>, remedies: &Remedies<'_>) -> Fault {
        let fix = match self.code {
            // A dump that is not granted looks like a wrong password.
            1045 if !matches!(doing, Doing::LoggingIn(_)) => remedies.grant(),
            1045 => remedies.password(),
            1698 => remedies.own_password(),
            1044 => format!(
                "{} where there is no such database, name another one in the URL",
                remedies.grant_select()
            ),
            1049 => "name an existing database in the URL".to_owned(),
            1129 => {
                "FLUSH HOSTS; (MySQL: TRUNCATE TABLE performance_schema.host_cache;)".to_owned()
            }
            1130 => remedies.create("lets no user in from here"),
            1142 | 1143 => remedies.grant_select(),
            1227 => remedies.grant(),
            1251 | 1275 | 1524 | 2059 => remedies.alter("another plugin is needed"),
            1820 | 1862 => remedies.alter("its password has expired"),
            3118 | 3955 | 3957 | 4151 => {
                format!("ALTER USER {} ACCOUNT UNLOCK;", remedies.user())
            }
            3159 => remedies.encrypt(),
            1381 => LOG_BIN.to_owned(),
            _ if self.names_a_taken_number() => remedies.number(),
            1236 => return self.of_the_log(doing),
            code if TRANSIENT.contains(&code) || self.state.starts_with("08") => {
                return Fault::Transient;
            }
            _ => return Fault::Definite,
        };
        Fault::Operator { fix }
    }

    /// Whether another dump came with our number. MariaDB has a code of its own for it.
    fn names_a_taken_number(&self) -> bool {
        let words = ["same server_uuid/server_id", "same server_id"];
        let says = || words.iter().any(|words| self.message.contains(words));
        self.code == 4052 || (self.code == 1236 && says())
    }

    /// One number for everything that can be wrong with a dump.
    fn of_the_log(&self, doing: &Doing<'_>) -> Fault {
        let says = |words: &[&str]| words.iter().any(|words| self.message.contains(words));
        let fix = if says(&["log is not open"]) {
            LOG_BIN
        } else if says(&["server_id was not set", "server id was not set"]) {
            "set server_id in the server's my.cnf to a number that no other server has, and restart"
        } else if says(&["max_allowed_packet"]) {
            "SET GLOBAL max_allowed_packet = 1073741824; and the same in the server's my.cnf"
        } else if says(&["bogus data", "not pass crc", "checksum"]) {
            // The log is damaged, or the place is none: neither passes by itself.
            return Fault::Definite;
        } else if matches!(doing, Doing::Trying) {
            return Fault::Definite;
        } else {
            // A file that is gone, or shorter than it was: the next survey sees it, and decides
            // what follows.
            return Fault::Transient;
        };
        Fault::Operator { fix: fix.to_owned() }
    }
}

const LOG_BIN: &str = "set log_bin = binlog in the server's my.cnf, and restart it";

/// Connections and their limits; resources; a server that comes or goes; statements that were ended
/// or lost against another; a protocol that got out of step.
const TRANSIENT: [u16; 40] = [
    1021, 1030, 1037, 1038, 1040, 1041, 1043, 1053, 1077, 1078, 1079, 1080, 1081, 1135, 1152, 1153,
    1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1189, 1203, 1205, 1213, 1226, 1317, 1373,
    1835, 1927, 1969, 3024, 3032, 3168, 4031, 1290,
];

/// How a person mends it, in the words of the server's family.
struct Remedies<'a> {
    config: &'a MysqlConfig,
    flavor: Flavor,
}

impl Remedies<'_> {
    /// Another reader came under our number. To come again would end it, who may be the shop's own
    /// replica, and then us again, for ever.
    fn number(&self) -> String {
        format!(
            "give either this reader or the other one a number of its own: [source] server_id \
             here, which is {} now, or server_id in the my.cnf of a replica",
            self.config.server_id
        )
    }

    /// The user, as SQL has it. Its host is the server's to know.
    fn user(&self) -> String {
        format!("{}@'%'", literal(&self.config.user))
    }

    fn password(&self) -> String {
        let fix = match self.config.password {
            Some(_) => format!(
                "set the right password for {} in the seller's file ([source] password)",
                self.config.user
            ),
            None => "add password = { file = \"...\" } or { env = \"...\" } to [source]".to_owned(),
        };
        // Neither family tells the rest from a wrong password.
        let user = literal(&self.config.user);
        let fix = format!(
            "{fix}; the same is said to a user who may not come from this host (SELECT user, host \
             FROM mysql.user WHERE user = {user})"
        );
        match self.config.tls.client {
            Some(_) => fix,
            None => format!(
                "{fix}, or who has to come over TLS or show a certificate ({})",
                self.encrypt()
            ),
        }
    }

    fn own_password(&self) -> String {
        format!(
            "connect with socket=/run/mysqld/mysqld.sock as the operating system's user of that \
             name, or give it a password: {}",
            self.identified("ALTER USER")
        )
    }

    fn create(&self, why: &str) -> String {
        format!("{} ({why})", self.identified("CREATE USER"))
    }

    fn alter(&self, why: &str) -> String {
        format!("{} ({why})", self.identified("ALTER USER"))
    }

    fn identified(&self, statement: &str) -> String {
        let how = match self.flavor {
            Flavor::MySql => "WITH caching_sha2_password BY '...'",
            Flavor::MariaDb => "VIA ed25519 USING PASSWORD('...')",
        };
        format!("{statement} {} IDENTIFIED {how};", self.user())
    }

    fn grant(&self) -> String {
        let privileges = match self.flavor {
            Flavor::MySql => "REPLICATION SLAVE, REPLICATION CLIENT",
            Flavor::MariaDb => "REPLICATION SLAVE, BINLOG MONITOR",
        };
        format!("GRANT {privileges} ON *.* TO {};", self.user())
    }

    fn grant_select(&self) -> String {
        let database = self.config.database.replace('`', "``");
        format!("GRANT SELECT ON `{database}`.* TO {};", self.user())
    }

    fn encrypt(&self) -> String {
        match self.config.tls.mode {
            SslMode::Disable | SslMode::Preferred => {
                "write ssl-mode=verify-identity in the URL".to_owned()
            }
            _ => "give ssl-cert and ssl-key in the URL".to_owned(),
        }
    }
}

/// Whether the remedy of an error at login is a plugin, which is another in each family.
pub(super) fn names_a_plugin(code: u16) -> bool {
    [1251, 1275, 1524, 1698, 1820, 1862, 2059].contains(&code)
}

/// A server that asks for a plugin we do not have.
pub(super) fn unknown_plugin(name: &str, config: &MysqlConfig, flavor: Flavor) -> Error {
    let fix = Remedies { config, flavor }.identified("ALTER USER");
    let first = match (name, flavor) {
        // Nobody is to learn whom it knows.
        ("sha256_password", Flavor::MySql) => {
            "check the user's name and from where it may come, as MySQL asks this of users it does \
             not know too; else"
        }
        _ => "give tailstock a user of its own, or",
    };
    let shown: String = name.chars().filter(|char| !char.is_control()).take(64).collect();
    Error::operator(
        format!("the server wants {} to log in by {shown}, which tailstock cannot", config.user),
        format!("{first} give this one another way to log in: {fix}"),
    )
}

/// Text as SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The first words of a statement, for errors.
pub(super) fn command(sql: &str) -> &str {
    sql.split(['(', '\'', '=', ';']).next().unwrap_or(sql).trim()
}

#[cfg(test)]
mod tests;

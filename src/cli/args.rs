use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::LogFormat;

/// Follows sellers' shop databases and publishes every change of their stock as one stream of
/// events.
///
/// A main file says where events go and where the sellers' files are; each of those says where one
/// database is and what its rows mean. `tailstock validate` checks all of them offline.
#[derive(Debug, Parser)]
#[command(
    name = "tailstock",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  tailstock --config tailstock.toml validate\n  \
                  tailstock --config tailstock.toml run"
)]
pub(super) struct Cli {
    /// The main file; everything it names is relative to its folder
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TAILSTOCK_CONFIG",
        default_value = "tailstock.toml"
    )]
    pub(super) config: PathBuf,

    /// Form of the log lines on standard error, instead of the main file's [log] format
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,

    /// Least severe log lines, instead of the main file's [log] level
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log_level: Option<LogLevel>,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the words of every logger")]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Follow every seller and publish what changes, until told to stop
    ///
    /// The first start of a seller begins at the current end of its log. SIGTERM ends it once all
    /// that was read is committed; a process that was killed goes on where its last commit ended.
    #[command(after_help = "Example:\n  tailstock --config tailstock.toml run\n  \
                            tailstock --config tailstock.toml run --until-current")]
    Run(RunArgs),

    /// Check all configuration files without connecting to anything
    #[command(after_help = "Example:\n  tailstock --config tailstock.toml validate")]
    Validate(JsonArgs),

    /// Print every row change of a database as one line of JSON, from now on
    ///
    /// Needs no configuration file. It keeps no checkpoint, writes nothing to the database and
    /// leaves nothing on the server: a PostgreSQL slot goes with the connection, and a MySQL or
    /// MariaDB server sees a replica with a number that nobody else has.
    #[command(after_help = "Examples:\n  tailstock tail --url \
                            postgresql://tailstock@db.example/shop \\\n    --password-file \
                            /run/secrets/shop --table 'public.*'\n  tailstock tail --url \
                            mysql://tailstock@db.example/shop \\\n    --password-env \
                            SHOP_PASSWORD --table 'shop.oc_*'")]
    Tail(TailArgs),

    /// Show how every seller of the running process stands
    ///
    /// LAG is the log that was not confirmed yet, KEPT what the server keeps for this reader alone,
    /// and LEFT the time, or the log that may still be written, until it removes what was not read.
    #[command(after_help = "Example:\n  tailstock --config tailstock.toml status")]
    Status(JsonArgs),

    /// Read tables of a seller as a whole and publish what is in them
    ///
    /// Changes go on meanwhile. The running process does it, and this command shows how far it is.
    /// Where none runs, the next one begins with it.
    #[command(after_help = "Examples:\n  tailstock --config tailstock.toml snapshot acme\n  \
                            tailstock --config tailstock.toml snapshot acme public.stock \
                            --no-wait")]
    Snapshot(SnapshotArgs),

    /// Free what a seller's server keeps for this installation, for good
    ///
    /// Drops the replication slot, so that the server keeps no log any more, and prints the SQL
    /// with which its DBA can undo the rest. What is stored stays: a later start begins with a
    /// gap.
    #[command(after_help = "Example:\n  tailstock --config tailstock.toml detach acme")]
    Detach(DetachArgs),

    /// Detach a seller, and take its checkpoint, cached rows and levels out of the store
    ///
    /// Events that were published stay.
    #[command(after_help = "Example:\n  tailstock --config tailstock.toml forget acme")]
    Forget(ForgetArgs),

    /// Print the machine-readable description of what is published
    #[command(after_help = "Example:\n  tailstock schema > stock-event.schema.json\n  \
                            tailstock schema --format asyncapi > stock.asyncapi.json")]
    Schema(SchemaArgs),

    /// Print a script that completes this program's words in a shell
    #[command(after_help = "Example:\n  tailstock completions bash > \
                            ~/.local/share/bash-completion/completions/tailstock")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Stop, with exit code 0, once everything that was in the log at the start is committed
    ///
    /// Gives up, with exit code 3, what another process holds for ten seconds, and with exit code 1
    /// what fails for a minute without any progress.
    #[arg(long)]
    pub(super) until_current: bool,
}

#[derive(Debug, Args)]
pub(super) struct JsonArgs {
    /// Print JSON for programs instead of text for people
    #[arg(long)]
    pub(super) json: bool,
}

/// One source of one seller.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// The seller, as its file names it
    pub(super) seller: String,

    /// Which of the seller's sources, where it has several
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,

    /// The table, schema.table [default: every table that a mapping reads]
    pub(super) table: Option<String>,

    /// Return when the order is stored instead of when everything has been read
    #[arg(long)]
    pub(super) no_wait: bool,

    /// Take the store although somebody who may have ended had it last; only where no process runs
    #[arg(long)]
    pub(super) take_over: bool,

    /// Print JSON for programs instead of text for people
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DetachArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,

    /// Print JSON for programs instead of text for people
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,

    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,

    /// Only what is stored: the server is gone, or is not to be touched
    #[arg(long)]
    pub(super) without_server: bool,

    /// Take the store although somebody who may have ended had it last
    #[arg(long)]
    pub(super) take_over: bool,

    /// Print JSON for programs instead of text for people
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// Where the database is: postgresql://user@host:port/database, or mysql:// and the same for
    /// MySQL and MariaDB
    #[arg(long, env = "TAILSTOCK_URL", hide_env_values = true)]
    pub(super) url: String,

    /// Only these tables: schema.table, in which * stands for any characters; may be repeated
    #[arg(long = "table", value_name = "PATTERN")]
    pub(super) tables: Vec<String>,

    /// The publication that says which tables a PostgreSQL server sends [default: tailstock]
    #[arg(long, value_name = "NAME")]
    pub(super) publication: Option<String>,

    /// A file that holds the password
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    pub(super) password_file: Option<PathBuf>,

    /// An environment variable that holds the password
    #[arg(long, value_name = "NAME")]
    pub(super) password_env: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// The language of the description
    #[arg(long, value_enum, default_value_t = SchemaFormat::JsonSchema)]
    pub(super) format: SchemaFormat,
}

/// A language that describes what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaFormat {
    /// An event, in JSON Schema 2020-12
    JsonSchema,
    /// Everything that is sent to Kafka, in AsyncAPI 3.0
    #[value(name = "asyncapi")]
    AsyncApi,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: Shell,
}

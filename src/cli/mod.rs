//! The command line: one file a command, and one place where a failure is told.
//!
//! | file | owns |
//! |---|---|
//! | `args` | words, options and their help |
//! | `exit` | exit codes, failures and how they are told |
//! | `process` | what commands that work until told to stop share: logs, HTTP, signals |
//! | `source` | the source that the options of `tail` mean |
//! | `target` | which source a command is about |
//! | `client`, `store` | the running process, and what is stored where none runs |
//! | `run`, `tail`, `validate`, `status`, `snapshot` | one command each |
//! | `detach` | the commands `detach` and `forget` |

mod args;
mod client;
mod detach;
mod exit;
mod process;
mod run;
mod sink;
mod snapshot;
mod source;
mod status;
mod store;
mod tail;
mod target;
mod validate;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, CompletionsArgs, SchemaArgs, SchemaFormat, TailArgs};
pub use exit::{Exit, Failure};

use crate::config::{Config, Loader, LogConfig, Problems};
use crate::seller;
use crate::stock::encode::{asyncapi, json_schema};
use crate::telemetry::keep_panics_quiet;

/// Does what the command line says. The returned code is one of [`Exit`].
pub fn main() -> ExitCode {
    keep_panics_quiet();
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit().into()
        }
    }
}

fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Run(args) => run::run(cli, &load(cli)?, args),
        Command::Validate(args) => validate::validate(load(cli), args.json),
        Command::Tail(args) => tail(cli, args),
        Command::Status(args) => status::status(&load(cli)?, args.json),
        Command::Snapshot(args) => snapshot::snapshot(&load(cli)?, args),
        Command::Detach(args) => detach::detach(&load(cli)?, args),
        Command::Forget(args) => detach::forget(&load(cli)?, args),
        Command::Schema(args) => schema(args),
        Command::Completions(args) => completions(args),
    }
}

fn load(cli: &Cli) -> Result<Config, Problems> {
    let loader = Loader {
        variable: &|name| std::env::var(name).ok(),
        check_source: &crate::seller::check_source,
        known_as: &crate::seller::known_as,
        check_property: &crate::sink::check_property,
    };
    loader.load(&cli.config)
}

fn tail(cli: &Cli, args: &TailArgs) -> Result<Exit, Failure> {
    process::start_logs(cli, &LogConfig { level: tracing::Level::WARN, ..LogConfig::default() });
    let connector = seller::connect(&source::of_options(args)?, &seller::Keep::Temporarily)
        .map_err(|error| Failure::from(&error).of_usage())?;
    let request = tail::TailRequest { tables: args.tables.clone() };
    process::until_signal(async |stop| {
        let out = tail::Output::new(std::io::stdout());
        tail::tail(connector.as_ref(), &request, out, stop).await?;
        Ok(Exit::Done)
    })
}

fn schema(args: &SchemaArgs) -> Result<Exit, Failure> {
    let document = match args.format {
        SchemaFormat::JsonSchema => json_schema(),
        SchemaFormat::AsyncApi => asyncapi(),
    };
    print(&format!("{document:#}\n"))
}

fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tailstock", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints a command's whole output. A reader that has seen enough, as `| head`, is no failure.
fn print(text: &str) -> Result<Exit, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => {
            let what = format!("standard output cannot be written: {error}");
            Err(Failure::new(Exit::Failed, what, ""))
        }
    }
}

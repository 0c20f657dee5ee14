//! A cluster of our own: made from a template, configured, started, stopped, removed.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio_postgres::Config;

use super::options::{PostgresOptions, TlsFiles};
use super::sql::{self, ServerError};
use crate::place::{Place, Run, copy, free_port, lock};
use crate::process::{Process, finish};
use crate::source::Programs;

/// How long a server may take to answer, or to stop.
const LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_prepared_transactions = 20
fsync = off
log_line_prefix = '%m [%p] %q%a '
";

const TRUST_ALL: &str = "
local all all trust
local replication all trust
host all all 127.0.0.1/32 trust
host all all ::1/128 trust
host replication all 127.0.0.1/32 trust
host replication all ::1/128 trust
";

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until every session has ended by itself.
    Smart,
    /// Ends the sessions, writes a checkpoint.
    Fast,
    /// Ends without a checkpoint, like a crash; the next start recovers.
    Immediate,
}

/// What a new cluster's data are copied from.
pub(super) enum Origin<'a> {
    Template,
    Nothing,
    Backup(&'a Cluster),
}

#[derive(Debug)]
pub(super) struct Cluster {
    // Before `run`: the server must be gone when its directory goes.
    process: Mutex<Option<Process>>,
    port: u16,
    programs: Programs,
    run: Run,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub(super) fn start(
        programs: Programs,
        origin: &Origin<'_>,
        options: &PostgresOptions,
    ) -> Result<Cluster, ServerError> {
        let place = Place::find().map_err(ServerError)?;
        let run = place.new_run(programs.account())?;
        let mut cluster = Cluster { process: Mutex::new(None), port: 0, programs, run };
        match origin {
            Origin::Template => cluster.copy_template(place)?,
            Origin::Nothing => cluster.initdb()?,
            Origin::Backup(primary) => cluster.copy_server(primary)?,
        }
        cluster.configure(options)?;
        let mut tries = 0;
        loop {
            cluster.port = free_port()?;
            tries += 1;
            match cluster.launch() {
                Err(error) if tries < 5 && error.0.contains("could not bind") => {}
                outcome => break outcome.map(|()| cluster),
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn sockets(&self) -> &Path {
        self.run.sockets()
    }

    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// A session of the superuser, over the socket that trusts it.
    pub(super) fn admin(&self) -> Config {
        let mut config = Config::new();
        config.host_path(self.run.sockets()).port(self.port).user("postgres").dbname("postgres");
        config
    }

    /// A program of the server's version that talks to this server.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = self.offline(program);
        command.env("PGHOST", self.run.sockets()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        command
    }

    /// A program that knows the data directory only: there is no port yet.
    fn offline(&self, program: &str) -> Command {
        let mut command = self.programs.command(program, &self.run);
        command.env("PGDATA", self.run.data());
        command
    }

    /// Starts the server that is stopped, and waits until it answers.
    pub(super) fn launch(&self) -> Result<(), ServerError> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if process.as_ref().is_some_and(|process| process.exited().is_none()) {
            return Err(ServerError("the server runs already".to_owned()));
        }
        let log = OpenOptions::new().create(true).append(true).open(self.run.log())?;
        // SIGQUIT is the immediate shutdown.
        let mut command = self.programs.server("postgres", &self.run, Signal::QUIT);
        command.arg("-D").arg(self.run.data()).args(["-p", &self.port.to_string()]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A Ctrl-C at the terminal is for the test; the server follows when the test ends.
        command.process_group(0);
        let started = process.insert(Process::spawn(command, Signal::QUIT)?);
        sql::wait_for_answer(&self.admin(), LIMIT, &|| {
            let status = started.exited()?;
            Some(format!("the server ended ({status}); its log says:\n{}", self.log_tail()))
        })
    }

    /// Asks the server to stop and waits until it has.
    pub(super) fn stop(&self, mode: StopMode) -> Result<(), ServerError> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = process.as_ref() else { return Ok(()) };
        running.signal(match mode {
            StopMode::Smart => Signal::TERM,
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
        });
        if running.wait(LIMIT).is_none() {
            let text = format!("still running {} s after a {mode:?} stop", LIMIT.as_secs());
            return Err(ServerError(text));
        }
        *process = None;
        Ok(())
    }

    /// The process id of the postmaster (of its client, under Docker) while it runs.
    pub(super) fn process_id(&self) -> Option<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().filter(|process| process.exited().is_none()).map(Process::id)
    }

    /// What the server has logged.
    pub(super) fn log(&self) -> String {
        let text = fs::read(self.run.log()).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The last lines of the server's log.
    pub(super) fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn copy_template(&self, place: &Place) -> Result<(), ServerError> {
        let version = finish(self.offline("postgres").arg("--version"))?;
        let uid = self.programs.account().map_or(rustix::process::geteuid().as_raw(), |a| a.uid);
        let template = place.templates().join(format!("{}-{uid}", file_name(&version)));
        if !template.is_dir() {
            let _one_at_a_time = lock(&template)?;
            if !template.is_dir() {
                self.initdb()?;
                let part = template.with_extension("part");
                drop(fs::remove_dir_all(&part));
                copy(&self.run.data(), &part)?;
                fs::rename(&part, &template)?;
                return Ok(());
            }
        }
        Ok(copy(&template, &self.run.data())?)
    }

    fn initdb(&self) -> Result<(), ServerError> {
        let mut initdb = self.offline("initdb");
        initdb.args(["--username=postgres", "--encoding=UTF8", "--locale=C", "--auth=trust"]);
        finish(initdb.arg("--no-sync"))?;
        Ok(())
    }

    fn copy_server(&self, primary: &Cluster) -> Result<(), ServerError> {
        let mut backup = self.offline("pg_basebackup");
        backup.args(["--host=127.0.0.1", &format!("--port={}", primary.port)]);
        backup.args([
            "--username=postgres",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--pgdata",
        ]);
        finish(backup.arg(self.run.data()))?;
        Ok(())
    }

    fn configure(&self, options: &PostgresOptions) -> Result<(), ServerError> {
        let mut lines = SETTINGS.to_owned();
        let sockets = self.run.sockets().display().to_string();
        lines.push_str(&setting("unix_socket_directories", &sockets));
        if let Some(tls) = &options.tls {
            lines.push_str(&self.copy_tls(tls)?);
        }
        for (name, value) in &options.settings {
            lines.push_str(&setting(name, value));
        }
        let conf = self.run.data().join("postgresql.conf");
        OpenOptions::new().append(true).open(conf)?.write_all(lines.as_bytes())?;
        let mut hba = "local all postgres trust\nlocal replication postgres trust\n".to_owned();
        if options.hba.is_empty() {
            hba.push_str(TRUST_ALL);
        }
        for line in &options.hba {
            hba.push_str(line);
            hba.push('\n');
        }
        Ok(fs::write(self.run.data().join("pg_hba.conf"), hba)?)
    }

    fn copy_tls(&self, files: &TlsFiles) -> Result<String, ServerError> {
        let mut lines = setting("ssl", "on");
        let mut named = vec![
            ("ssl_cert_file", "server.crt", &files.certificate),
            ("ssl_key_file", "server.key", &files.key),
        ];
        named.extend(files.client_ca.as_ref().map(|file| ("ssl_ca_file", "client_ca.crt", file)));
        for (name, file, from) in named {
            let to = self.run.directory().join(file);
            let copied = fs::copy(from, &to);
            copied.map_err(|error| ServerError(format!("{}: {error}", from.display())))?;
            fs::set_permissions(&to, Permissions::from_mode(0o600))?;
            if let Some(account) = self.programs.account() {
                account.own(&to)?;
            }
            let _ = write!(lines, "{}", setting(name, &to.display().to_string()));
        }
        Ok(lines)
    }
}

fn setting(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\'', "''"))
}

fn file_name(text: &str) -> String {
    text.trim().replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-")
}

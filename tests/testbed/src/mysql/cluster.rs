//! A server of our own: made from a template, configured, started, stopped, killed, removed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mysql_async::OptsBuilder;
use rustix::process::{Pid, Signal, kill_process};

use super::configuration::Configuration;
use super::options::MysqlOptions;
use super::sql;
use super::version::MysqlVersion;
use crate::place::{Place, Run, copy, free_port, lock};
use crate::process::{Process, finish};
use crate::source::Programs;
use crate::{ServerError, TlsFiles};

/// How long a server may take to answer, or to stop.
const LIMIT: Duration = Duration::from_secs(60);

/// The database of a server of one's own.
pub(super) const DATABASE: &str = "shop";

/// Who may come in, and the database that is there from the beginning.
const ACCESS: &str = "
create user root@'%';
grant all privileges on *.* to root@'%' with grant option;
create database shop;
";

/// The tables of a MariaDB that describe itself, as its packages have them below `$0`.
const SYSTEM_TABLES: &str = r#"
for name in system_tables performance_tables system_tables_data; do
  cat "$(ls "$0"/usr/share/m*/m*_"$name".sql | head -n 1)" || exit
done
cat "$(ls "$0"/usr/share/m*/maria_add_gis_sp_bootstrap.sql | head -n 1)"
"#;

#[derive(Debug)]
pub(super) struct Cluster {
    // Before `run`: the server must be gone when its directory goes.
    process: Mutex<Option<Process>>,
    version: MysqlVersion,
    port: u16,
    programs: Programs,
    run: Run,
}

impl Cluster {
    /// Makes a server and starts it.
    pub(super) fn start(
        version: MysqlVersion,
        programs: Programs,
        options: &MysqlOptions,
    ) -> Result<Cluster, ServerError> {
        let place = Place::find()?;
        let run = place.new_run(programs.account())?;
        let mut cluster = Cluster { process: Mutex::new(None), version, port: 0, programs, run };
        if options.for_life().next().is_some() {
            cluster.initialise(options)?;
        } else {
            cluster.copy_template(place)?;
        }
        let mut options = options.clone();
        if let Some(tls) = options.tls.take() {
            options = cluster.copy_tls(&tls, options)?;
        }
        let mut tries = 0;
        loop {
            cluster.port = free_port()?;
            let text = cluster.configuration().to_serve(cluster.port, &options);
            fs::write(cluster.option_file(), text)?;
            tries += 1;
            match cluster.launch() {
                Err(error) if tries < 5 && error.0.contains("Address already in use") => {}
                outcome => break outcome.map(|()| cluster),
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.run.sockets().join("mysql.sock")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.run.data()
    }

    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// A session of the superuser over the socket, which works whatever the options ask of others.
    pub(super) fn admin(&self) -> OptsBuilder {
        let socket = self.socket().display().to_string();
        OptsBuilder::default().socket(Some(socket)).user(Some("root"))
    }

    /// A program of the server's version that talks to this server.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = self.programs.command(program, &self.run);
        command.arg(self.defaults());
        command
    }

    /// Starts the server that is stopped, and waits until it answers.
    pub(super) fn launch(&self) -> Result<(), ServerError> {
        let mut process = self.process();
        if process.as_ref().is_some_and(|process| process.exited().is_none()) {
            return Err(ServerError("the server runs already".to_owned()));
        }
        // A killed server leaves it, and the next one asks whether its process id is taken.
        drop(fs::remove_file(self.socket().with_extension("sock.lock")));
        let log = OpenOptions::new().create(true).append(true).open(self.run.log())?;
        let end = self.programs.end();
        let mut command = self.programs.server(self.version.server(), &self.run, end);
        command.arg(self.defaults()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A Ctrl-C at the terminal is for the test; the server follows when the test ends.
        command.process_group(0);
        let started = process.insert(Process::spawn(command, end)?);
        sql::wait_for_answer(&self.admin().into(), LIMIT, &|| {
            let status = started.exited()?;
            Some(format!("the server ended ({status}); its log says:\n{}", self.log_tail()))
        })
    }

    /// Asks the server to stop and waits until it has.
    pub(super) fn stop(&self) -> Result<(), ServerError> {
        self.end(|running| running.signal(Signal::TERM))
    }

    /// SIGKILL, and waits until the server is gone.
    pub(super) fn kill(&self) -> Result<(), ServerError> {
        let file = self.run.directory().join("pid");
        let written = fs::read_to_string(&file).unwrap_or_default();
        let server = written.trim().parse().ok().and_then(Pid::from_raw);
        self.end(|running| {
            // Under an engine the child is a client, which would leave the server behind.
            if let (Some(server), None) = (server, running.exited()) {
                // Gone in between: what was wanted.
                let _ = kill_process(server, Signal::KILL);
            } else {
                running.signal(Signal::KILL);
            }
        })
    }

    fn end(&self, signal: impl FnOnce(&Process)) -> Result<(), ServerError> {
        let mut process = self.process();
        let Some(running) = process.as_ref() else { return Ok(()) };
        signal(running);
        if running.wait(LIMIT).is_none() {
            return Err(ServerError(format!("still running {} s later", LIMIT.as_secs())));
        }
        *process = None;
        Ok(())
    }

    /// The server's process id (that of its client, under Docker) while it runs.
    pub(super) fn process_id(&self) -> Option<u32> {
        let process = self.process();
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

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configuration(&self) -> Configuration<'_> {
        let root = self.programs.root();
        Configuration { version: self.version, run: &self.run, root }
    }

    fn option_file(&self) -> PathBuf {
        self.run.directory().join("my.cnf")
    }

    /// It must be the first argument of a program.
    fn defaults(&self) -> String {
        format!("--defaults-file={}", self.option_file().display())
    }

    fn copy_template(&self, place: &Place) -> Result<(), ServerError> {
        let mut version = self.programs.command(self.version.server(), &self.run);
        let version = finish(version.arg("--version"))?;
        let account = self.programs.account();
        let uid = account.map_or(rustix::process::geteuid().as_raw(), |account| account.uid);
        let template = place.templates().join(format!("{}-{uid}", file_name(&version)));
        if !template.is_dir() {
            let _one_at_a_time = lock(&template)?;
            if !template.is_dir() {
                self.initialise(&MysqlOptions::default())?;
                let part = template.with_extension("part");
                drop(fs::remove_dir_all(&part));
                copy(&self.data(), &part)?;
                fs::rename(&part, &template)?;
                return Ok(());
            }
        }
        Ok(copy(&template, &self.data())?)
    }

    /// Makes the data directory.
    fn initialise(&self, options: &MysqlOptions) -> Result<(), ServerError> {
        fs::write(self.option_file(), self.configuration().to_initialise(options))?;
        let input = self.run.directory().join("access.sql");
        let mut make = self.command(self.version.server());
        if self.version.is_mariadb() {
            let data = self.data();
            fs::create_dir(&data)?;
            self.give(&data)?;
            fs::write(&input, self.system_tables()?)?;
            make.arg("--bootstrap").arg("--log-warnings=0").stdin(File::open(&input)?);
        } else {
            fs::write(&input, ACCESS)?;
            make.arg("--initialize-insecure").arg(format!("--init-file={}", input.display()));
        }
        finish(&mut make)?;
        // Servers are told apart by it; each makes one of its own where there is none.
        match fs::remove_file(self.data().join("auto.cnf")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// All that makes a MariaDB of an empty directory.
    fn system_tables(&self) -> Result<String, ServerError> {
        let mut shell = self.programs.shell(&self.run);
        let root = self.programs.root().unwrap_or(Path::new("/"));
        let tables = finish(shell.arg("-c").arg(SYSTEM_TABLES).arg(root))?;
        // Their last word is for a root who is known by the machine's name.
        let tables = tables.lines().filter(|line| !line.contains("@current_hostname"));
        let mut text = "create database mysql;\nuse mysql;\n".to_owned();
        text.push_str("set @auth_root_socket = null, @skip_auth_anonymous = 1;\n");
        tables.for_each(|line| text.extend([line, "\n"]));
        text.push_str("flush privileges;\n");
        text.push_str(ACCESS);
        Ok(text)
    }

    fn copy_tls(
        &self,
        files: &TlsFiles,
        options: MysqlOptions,
    ) -> Result<MysqlOptions, ServerError> {
        let mut named = vec![("ssl_cert", &files.certificate), ("ssl_key", &files.key)];
        named.extend(files.client_ca.as_ref().map(|file| ("ssl_ca", file)));
        let mut settings = Vec::new();
        for (name, from) in named {
            let to = self.run.directory().join(format!("{name}.pem"));
            let copied = fs::copy(from, &to);
            copied.map_err(|error| ServerError(format!("{}: {error}", from.display())))?;
            fs::set_permissions(&to, Permissions::from_mode(0o600))?;
            self.give(&to)?;
            settings.push((name.to_owned(), to.display().to_string()));
        }
        // The test's own settings are later in the file, and win.
        settings.extend(options.settings);
        Ok(MysqlOptions { settings, ..options })
    }

    fn give(&self, path: &Path) -> std::io::Result<()> {
        self.programs.account().map_or(Ok(()), |account| account.own(path))
    }
}

fn file_name(version: &str) -> String {
    let number = version.split_whitespace().skip_while(|word| *word != "Ver").nth(1);
    let number = number.unwrap_or(version);
    format!("mysql-{}", number.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"))
}

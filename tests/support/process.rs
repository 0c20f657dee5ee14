use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// A folder with a configuration and what a run leaves behind.
pub struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    /// A main file and one seller file, with the SQLite sink and HTTP off.
    pub fn new(main: &str, seller: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sellers")).unwrap();
        std::fs::write(folder.path().join("tailstock.toml"), main).unwrap();
        std::fs::write(folder.path().join("sellers/shop.toml"), seller).unwrap();
        Self { folder }
    }

    /// The usual main file.
    pub const MAIN: &str = r#"
name = "test"
sellers = "sellers/*.toml"
[sink]
kind = "sqlite"
path = "stock.db"
[http]
listen = ""
"#;

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A running `tailstock`; killed when dropped.
pub struct Tailstock {
    child: Child,
    log: PathBuf,
}

impl Drop for Tailstock {
    /// A test that fails while this runs shows what it has printed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

impl Tailstock {
    /// `tailstock --config tailstock.toml ARGUMENTS...` in the workspace.
    pub fn start(workspace: &Workspace, arguments: &[&str]) -> Self {
        Self::start_in(workspace, arguments, &[])
    }

    /// The same with variables in its environment.
    pub fn start_in(
        workspace: &Workspace,
        arguments: &[&str],
        environment: &[(&str, &Path)],
    ) -> Self {
        let log = workspace.path("log.txt");
        let file = std::fs::File::options().append(true).create(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tailstock"))
            .arg("--config")
            .arg(workspace.path("tailstock.toml"))
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(workspace.folder())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Everything the runs in this workspace have printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the process has not been waited for")
    }

    /// SIGKILL after `delay`, unless it ends by itself.
    pub async fn kill_after(mut self, delay: Duration) {
        if let Ok(status) = tokio::time::timeout(delay, self.child.wait()).await {
            panic!("it ended by itself: {status:?}\n{}", self.log());
        }
        self.child.kill().await.unwrap();
    }

    /// A signal after `delay`, unless it ends by itself.
    pub async fn signal_after(&mut self, signal: rustix::process::Signal, delay: Duration) {
        if let Ok(status) = tokio::time::timeout(delay, self.child.wait()).await {
            panic!("it ended by itself: {status:?}\n{}", self.log());
        }
        self.signal(signal);
    }

    /// A signal by its number.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Fails with its log if it has ended.
    pub fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended by itself: {ended:?}\n{}", self.log());
    }

    /// The exit status, within `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        match tokio::time::timeout(deadline, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("still running after {deadline:?}\n{}", self.log()),
        }
    }
}

/// What the process that listens there says of `/readyz`, if one does.
pub async fn readiness(address: SocketAddr) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::place::{Place, lock};

/// The oldest Java that runs the broker.
const JAVA: u32 = 17;
const INSTALL: &str = "apt-get install --no-install-recommends openjdk-17-jre-headless maven";

/// The broker's programs and the Java that runs them.
#[derive(Debug)]
pub(super) struct Jars {
    pub(super) folder: PathBuf,
    java: u32,
}

impl Jars {
    /// The jars of this machine, fetched where they are missing; looked for once.
    pub(super) fn find() -> Result<&'static Jars, String> {
        static FOUND: OnceLock<Result<Jars, String>> = OnceLock::new();
        FOUND.get_or_init(Jars::fetched).as_ref().map_err(Clone::clone)
    }

    pub(super) fn origin(&self) -> String {
        format!("Maven, run by Java {}", self.java)
    }

    fn fetched() -> Result<Jars, String> {
        let java = java_version()?;
        let folder = Place::find()?.trees().join("kafka-4.3.1");
        let _one_at_a_time = lock(&folder).map_err(|error| error.to_string())?;
        // The mark is written last: a folder without it was left by a fetch that was interrupted.
        let mark = folder.join("complete");
        if !mark.is_file() {
            fetch(&folder)?;
            fs::write(&mark, "").map_err(|error| format!("{}: {error}", mark.display()))?;
        }
        Ok(Jars { folder, java })
    }
}

fn java_version() -> Result<u32, String> {
    let said = Command::new("java").arg("-version").stdin(Stdio::null()).output();
    let said = said.map_err(|error| format!("java: {error}; {INSTALL}"))?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    // openjdk version "17.0.15" 2025-04-15
    let quoted = text.split('"').nth(1).unwrap_or_default();
    match quoted.split(['.', '-', '+']).next().and_then(|major| major.parse().ok()) {
        Some(major) if major >= JAVA => Ok(major),
        _ => Err(format!("java is {quoted:?}, wanted: {JAVA} or later; {INSTALL}")),
    }
}

fn fetch(folder: &Path) -> Result<(), String> {
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kafka/pom.xml");
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--quiet", "--file"]).arg(pom);
    command.arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies");
    command.arg("-DincludeScope=runtime").arg(format!("-DoutputDirectory={}", folder.display()));
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("mvn: {error}; {INSTALL}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Some of its errors begin with an empty line.
    let mut reasons = text.lines().filter_map(|line| line.strip_prefix("[ERROR]")).map(str::trim);
    let reason = reasons.find(|reason| !reason.is_empty()).unwrap_or("no reason given");
    Err(format!("mvn cannot fetch the jars: {reason}"))
}

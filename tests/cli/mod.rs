//! The command line as a newcomer meets it: help, exit codes, and what is printed for programs.

mod processes;
mod snapshot;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

const MAIN: &str = "\
name = 'test'
sellers = 'acme.toml'
[sink]
kind = 'discard'
[http]
listen = 'LISTEN'
";

const SELLER: &str = "\
seller = 'acme'
[source]
kind = 'postgres'
url = 'postgresql://tailstock@127.0.0.1:1/shop?sslmode=disable'
[[stock]]
table = 'public.stock'
item = 'id'
on_hand = 'qty'
";

fn tailstock(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

/// A folder with a configuration that serves HTTP on `listen`.
fn workspace(listen: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tailstock.toml"), MAIN.replace("LISTEN", listen)).unwrap();
    std::fs::write(folder.path().join("acme.toml"), SELLER).unwrap();
    folder
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let folder = workspace("");
    let top = tailstock(folder.path(), &["--help"]);
    assert_eq!(top.status.code(), Some(0));
    assert!(text(&top.stdout).contains("Example:"));
    let commands = [
        "run",
        "validate",
        "tail",
        "status",
        "snapshot",
        "detach",
        "forget",
        "schema",
        "completions",
    ];
    for command in commands {
        assert!(text(&top.stdout).contains(&format!("\n  {command} ")), "{command}");
        let help = tailstock(folder.path(), &[command, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{command}");
        let example = format!("tailstock --config tailstock.toml {command}");
        let bare = format!("tailstock {command}");
        let told = text(&help.stdout);
        assert!(told.contains(&example) || told.contains(&bare), "{command}: {told}");
    }
}

#[test]
fn a_wrong_word_on_the_command_line_is_bad_usage() {
    let folder = workspace("");
    for arguments in [&["walidate"][..], &["run", "--fast"], &["tail"], &[]] {
        let output = tailstock(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn tail_takes_the_kind_of_a_database_from_its_url() {
    let folder = workspace("");
    let told = |arguments: &[&str]| {
        let output = tailstock(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        text(&output.stderr).to_owned()
    };
    let unknown = told(&["tail", "--url", "oracle://u:hunter2@h/d"]);
    assert!(unknown.contains("neither postgresql:// nor mysql://"), "{unknown}");
    assert!(unknown.contains("mysql://user@host:3306/database"), "{unknown}");
    assert!(!unknown.contains("hunter2"), "{unknown}");
    for url in ["postgresql://u@h/d?fallback=1", "mysql://u@h:port/d"] {
        assert!(told(&["tail", "--url", url]).contains("fix: "), "{url}");
    }
    let publication = told(&["tail", "--url", "mariadb://u@h/d", "--publication", "shop"]);
    assert!(publication.contains("--publication"), "{publication}");
    assert!(publication.contains("fix: leave it out"), "{publication}");
}

#[test]
fn the_schema_is_json_and_names_the_events_schema() {
    let folder = workspace("");
    let output = tailstock(folder.path(), &["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["schema"]["const"], "stock/1");
    let output = tailstock(folder.path(), &["schema", "--format", "asyncapi"]);
    assert_eq!(output.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["asyncapi"], "3.0.0");
}

#[test]
fn completions_know_every_command() {
    let folder = workspace("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = tailstock(folder.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("until-current"), "{shell}");
    }
}

#[cfg(feature = "kafka")]
#[test]
fn files_of_the_clusters_tls_are_beside_the_file_that_names_them() {
    let folder = workspace("");
    let kafka = "kind = 'kafka'\nbrokers = 'kafka.example:9092'\n[sink.properties]\n\
                 'ssl.ca.location' = 'ca.pem'";
    let main = MAIN.replace("kind = 'discard'", kafka).replace("LISTEN", "");
    std::fs::write(folder.path().join("tailstock.toml"), main).unwrap();
    let file = folder.path().join("tailstock.toml");
    let validate = ["--config", file.to_str().unwrap(), "validate"];
    let elsewhere = tempfile::tempdir().unwrap();
    let output = tailstock(elsewhere.path(), &validate);
    assert!(text(&output.stderr).contains("which does not exist"), "{output:?}");
    std::fs::write(folder.path().join("ca.pem"), "").unwrap();
    let output = tailstock(elsewhere.path(), &validate);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn status_says_how_to_start_a_process_when_none_answers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = workspace(&free.to_string());
    let output = tailstock(folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains(&format!("no running tailstock answers on {free}")), "{told}");
    assert!(told.contains("fix: start it: tailstock --config tailstock.toml run"), "{told}");
}

#[test]
fn status_without_http_says_what_to_change() {
    let folder = workspace("");
    let output = tailstock(folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("fix: give it an address: [http] listen ="));
}

#[test]
fn status_shows_what_the_running_process_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = workspace(&listener.local_addr().unwrap().to_string());
    let body = r#"[{"seller":"acme","source":"main","state":"streaming","since":"-","rows":1,
        "position":"0/1","lag_bytes":0,"events":1,"dead_letters":0,"restarts":0,
        "dirty_tables":{}}]"#;
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /v1/sellers "));
            write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").unwrap();
        }
    });
    let people = tailstock(folder.path(), &["status"]);
    let programs = tailstock(folder.path(), &["status", "--json"]);
    server.join().unwrap();
    assert_eq!((people.status.code(), programs.status.code()), (Some(0), Some(0)));
    assert!(text(&people.stdout).contains("acme/main  streaming"), "{people:?}");
    assert_eq!(text(&programs.stdout).trim_end(), body);
}

#[test]
fn a_password_on_the_command_line_and_in_a_file_is_one_too_many() {
    let folder = workspace("");
    std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let url = "postgresql://u:hunter3@127.0.0.1:1/d";
    let output = tailstock(folder.path(), &["tail", "--url", url, "--password-file", "secret"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("fix: give one of the two") && !told.contains("hunter"), "{told}");
}

/// Between two looks, in which what is looked at has the processor.
const PAUSE: Duration = Duration::from_millis(20);

/// A running `tailstock`; killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Asks until `wanted` is in the status.
fn status_with(folder: &Path, wanted: &str) -> String {
    let started = Instant::now();
    loop {
        let output = tailstock(folder, &["status"]);
        let told = text(&output.stdout).to_owned() + text(&output.stderr);
        if told.contains(wanted) {
            return told;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "never {wanted:?}: {told}");
        std::thread::park_timeout(PAUSE);
    }
}

#[test]
fn a_process_whose_server_is_away_says_so_and_ends_as_it_is_asked_to() {
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = workspace(&free.to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_tailstock"))
            .args(["--log-format", "json", "run"])
            .current_dir(folder.path())
            .env_clear()
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut running = Running(child);
        let told = status_with(folder.path(), "backing_off");
        assert!(told.contains("because: "), "{told}");
        let pid = Pid::from_raw(i32::try_from(running.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(running.0.wait().unwrap().code(), Some(code));
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
        }
    }
}

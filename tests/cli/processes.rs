//! Several processes on one machine, of one configuration and of two.

use super::*;

/// A folder with a store and an address.
fn with_store(listen: &str) -> tempfile::TempDir {
    let folder = workspace(listen);
    let main = MAIN.replace("LISTEN", listen);
    let main = main.replace("kind = 'discard'", "kind = 'sqlite'\npath = 'stock.db'");
    std::fs::write(folder.path().join("tailstock.toml"), main).unwrap();
    folder
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A process that works until it is dropped, and the file of its log.
fn start(folder: &Path, log: &str) -> (Running, std::path::PathBuf) {
    let log = folder.join(log);
    let child = Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .arg("run")
        .current_dir(folder)
        .env_clear()
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    (Running(child), log)
}

fn await_line(log: &Path, wanted: &str) {
    let started = Instant::now();
    loop {
        let told = std::fs::read_to_string(log).unwrap();
        if told.contains(wanted) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "never {wanted:?}: {told}");
        std::thread::park_timeout(PAUSE);
    }
}

#[test]
fn of_two_processes_with_one_address_one_works_and_the_other_waits() {
    let folder = with_store(&free_address());
    let (first, _) = start(folder.path(), "first");
    status_with(folder.path(), "backing_off");
    let (_second, log) = start(folder.path(), "second");
    await_line(&log, "another process listens there");
    await_line(&log, &format!("is in use by tailstock, process {}", first.0.id()));

    let job = tailstock(folder.path(), &["run", "--until-current"]);
    let told = text(&job.stderr);
    assert_eq!(job.status.code(), Some(3), "{told}");
    assert!(told.contains("is in use by tailstock, process"), "{told}");

    drop(first);
    await_line(&log, "serving /metrics");
    status_with(folder.path(), "backing_off");
}

#[test]
fn a_process_of_another_store_says_what_to_change_and_works_without_http() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = with_store(&taken.local_addr().unwrap().to_string());
    let (_running, log) = start(folder.path(), "log");
    await_line(&log, "give this one");
    await_line(&log, "trying again until it works");
    assert!(folder.path().join("stock.db").exists());
}

#[test]
fn a_process_that_cannot_be_asked_is_not_taken_for_one_that_has_ended() {
    let folder = with_store("");
    let (running, log) = start(folder.path(), "log");
    await_line(&log, "trying again until it works");
    let output = tailstock(folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (told, why) = (text(&output.stdout), text(&output.stderr));
    assert!(told.contains("acme/main  held"), "{told}");
    let holder = format!("because: held by tailstock, process {} on ", running.0.id());
    assert!(told.contains(&holder), "{told}");
    assert!(why.contains("this is what is stored") && why.contains("turned off"), "{why}");

    drop(running);
    let output = tailstock(folder.path(), &["status"]);
    assert!(text(&output.stdout).contains("acme/main  never_started"), "{output:?}");
}

#[test]
fn a_process_of_other_sellers_that_has_the_address_is_not_asked() {
    let address = free_address();
    let (folder, other) = (with_store(&address), with_store(&address));
    let mine = SELLER.replace("'acme'", "'mine'");
    std::fs::write(folder.path().join("acme.toml"), mine).unwrap();
    let (_other, _) = start(other.path(), "log");
    status_with(other.path(), "backing_off");
    let (running, log) = start(folder.path(), "log");
    await_line(&log, "trying again until it works");
    let output = tailstock(folder.path(), &["status"]);
    let (told, why) = (text(&output.stdout), text(&output.stderr));
    assert!(told.contains("mine/main  held") && !told.contains("acme"), "{told}");
    assert!(why.contains("follows no seller of this configuration"), "{why}");
    drop(running);
}

#[test]
fn an_address_of_another_machine_stops_the_start_with_its_fix() {
    let folder = workspace("192.0.2.1:8642");
    let output = tailstock(folder.path(), &["run"]);
    assert_eq!(output.status.code(), Some(4));
    let told = text(&output.stderr);
    assert!(told.contains("this machine has no such address"), "{told}");
    assert!(told.contains("fix: use one it has"), "{told}");
}

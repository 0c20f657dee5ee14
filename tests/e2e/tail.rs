//! What it proves: `tailstock tail` ends when it is asked to, whether somebody reads it or not.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use testbed::PgVersion;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{Shop, Tailstock, Workspace, eventually};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_nobody_reads_ends_when_it_is_asked_to() {
    let test = "a_tail_that_nobody_reads_ends";
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "id serial PRIMARY KEY, note text").await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(["tail", "--url", &shop.url()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    eventually("a line", LIMIT, async || {
        shop.execute("INSERT INTO stock (note) VALUES ('a')").await;
        let line = tokio::time::timeout(Duration::from_millis(300), lines.next_line()).await;
        Some(line.ok()?.unwrap().expect("it runs"))
    })
    .await;
    let many = "INSERT INTO stock (note) SELECT repeat('x', 1000) FROM generate_series(1, 2000)";
    shop.execute(many).await;
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    let at_once = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let pipe = format!("/proc/{pid}/fd/1");
    let mut pipe = File::options().write(true).custom_flags(at_once).open(pipe).unwrap();
    eventually("no room in the pipe", LIMIT, async || pipe.write(b"\n").is_err().then_some(()))
        .await;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(0));
    drop(lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_signal_ends_it_while_its_slot_waits_for_a_transaction() {
    let Some(shop) = Shop::start(PgVersion::V15, "tail_waits").await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let open = shop.connect().await;
    open.execute("BEGIN; INSERT INTO stock VALUES (1, 1)").await;
    let workspace = Workspace::new("", "");
    let mut tail = Tailstock::start(&workspace, &["tail", "--url", &shop.url()]);
    eventually("its slot waits", Duration::from_secs(30), async || {
        let waits = "SELECT count(*)::text FROM pg_locks
                     WHERE locktype = 'transactionid' AND NOT granted";
        (shop.text(waits).await == "1").then_some(())
    })
    .await;
    tail.signal(Signal::TERM);
    let status = tail.wait(Duration::from_secs(10)).await;
    assert!(status.success(), "{status:?}\n{}", tail.log());
}

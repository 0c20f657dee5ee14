use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::server::ShopServer;

/// One line of `tail`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) position: String,
    pub(super) transaction: String,
    pub(super) committed_at: String,
    pub(super) database: String,
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) op: String,
    pub(super) before: Map<String, Value>,
    pub(super) after: Map<String, Value>,
}

/// A running `tailstock tail`.
pub(super) struct Tail {
    child: Child,
    lines: Receiver<String>,
    marks: u32,
}

const LIMIT: Duration = Duration::from_secs(60);

impl Tail {
    /// Follows the tables that match, and returns once it does.
    pub(super) fn start(server: &ShopServer, patterns: &[&str]) -> Self {
        let marker = (!patterns.is_empty()).then_some(&"shop.marker");
        let tables = patterns.iter().chain(marker).flat_map(|pattern| ["--table", pattern]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tailstock"))
            .args(["tail", "--url", &server.url()])
            .args(tables)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        let mut tail = Self { child, lines, marks: 0 };
        // The place where it begins is somewhere between two of these.
        let started = std::time::Instant::now();
        while !tail.is_following(server) {
            assert!(started.elapsed() < LIMIT, "tail shows nothing");
        }
        tail
    }

    fn is_following(&mut self, server: &ShopServer) -> bool {
        self.mark(server);
        match self.lines.recv_timeout(Duration::from_millis(300)) {
            Ok(_) => {
                self.lines_until_now(server);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => panic!("tail ended: {:?}", self.child.wait()),
        }
    }

    fn mark(&mut self, server: &ShopServer) {
        self.marks += 1;
        server.run(&format!("INSERT INTO marker VALUES ({})", self.marks));
    }

    /// Everything that came since the last mark, in order, of other tables than the marks'.
    pub(super) fn lines_until_now(&mut self, server: &ShopServer) -> Vec<Line> {
        self.mark(server);
        let mut lines = Vec::new();
        loop {
            let text = self.lines.recv_timeout(LIMIT).expect("tail shows what happens");
            // What is made of rows that are there is no line of its own.
            if text.contains("rewritten by ALTER TABLE") {
                continue;
            }
            let line: Line =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            if line.table != "marker" {
                lines.push(line);
            } else if line.after["n"] == self.marks {
                return lines;
            }
        }
    }

    /// Ends it as Ctrl-C does.
    pub(super) fn end(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(130));
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Already gone where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

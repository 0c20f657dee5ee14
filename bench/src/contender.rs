use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::report::Figures;
use crate::shop::{Backlog, Shop};

/// Who drains the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    PgRecvlogical,
    Discard,
    Sqlite,
}

impl Contender {
    pub(crate) const ALL: [Contender; 3] =
        [Contender::PgRecvlogical, Contender::Discard, Contender::Sqlite];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::PgRecvlogical => "pg_recvlogical",
            Contender::Discard => "discard",
            Contender::Sqlite => "sqlite",
        }
    }

    /// Runs one client as a whole process over a copy of the backlog's slot.
    pub(crate) fn drain(self, shop: &Shop, backlog: &Backlog) -> Figures {
        shop.copy(backlog);
        let folder = tempfile::tempdir().unwrap();
        let mut command = match self {
            Contender::PgRecvlogical => {
                let mut command = shop.server.bin("pg_recvlogical").unwrap();
                // The same way in as tailstock's: a Unix socket costs the server less.
                command.args(["--host", "127.0.0.1", "--dbname", "postgres"]);
                command.args(["--slot", "bench_copy", "--start"]);
                command.args(["--option", "proto_version=1"]);
                command.args(["--option", "publication_names=bench"]);
                command.args(["--file", "/dev/null", "--fsync-interval", "0", "--no-loop"]);
                command.args(["--endpos", &backlog.end]);
                command
            }
            Contender::Discard | Contender::Sqlite => {
                write_configuration(folder.path(), shop, self.name(), Some("bench_copy"));
                tailstock(folder.path(), &["run", "--until-current"])
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let started = Instant::now();
        let child = command.spawn().unwrap();
        let usage = wait(child.id());
        let seconds = started.elapsed().as_secs_f64();
        // The child is waited for below the standard library, to learn what it used.
        drop(child);
        shop.drop_copy();
        if self == Contender::Sqlite {
            let database = rusqlite::Connection::open(folder.path().join("stock.db")).unwrap();
            let sql = "SELECT count(*) FROM events";
            let events: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(events.cast_unsigned(), backlog.rows, "events in the store");
        }
        #[allow(clippy::cast_precision_loss, reason = "row counts fit a float's 52 bits")]
        let rows_per_s = backlog.rows as f64 / seconds;
        Figures { rows_per_s, cpu_s: usage.cpu_s, peak_rss_mib: usage.peak_rss_mib }
    }
}

/// What a process used.
struct Usage {
    cpu_s: f64,
    peak_rss_mib: f64,
}

/// Samples a process until it has ended: no safe crate waits with the resources used.
fn wait(pid: u32) -> Usage {
    let mut usage = Usage { cpu_s: 0.0, peak_rss_mib: 0.0 };
    let folder = PathBuf::from(format!("/proc/{pid}"));
    loop {
        let stat = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok());
        if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
            usage.cpu_s = (user + system) / 100.0;
        }
        usage.peak_rss_mib = peak_rss_mib(pid).unwrap_or(usage.peak_rss_mib);
        // A zombie has ended: what it used is final.
        if fields.first().is_none_or(|state| *state == "Z") {
            return usage;
        }
        pause();
    }
}

/// The most memory a process has had so far.
pub(crate) fn peak_rss_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Between two samples: short against what is measured, long against what sampling costs.
#[allow(clippy::disallowed_methods, reason = "a bench paces itself")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}

/// The program that was built beside this one.
pub(crate) fn tailstock(folder: &Path, arguments: &[&str]) -> Command {
    let here = std::env::current_exe().unwrap();
    let mut command = Command::new(here.parent().unwrap().join("tailstock"));
    command.args(["--log-level", "warn", "--config", "tailstock.toml"]).args(arguments);
    command.current_dir(folder);
    command
}

pub(crate) fn write_configuration(folder: &Path, shop: &Shop, sink: &str, slot: Option<&str>) {
    let path = if sink == "sqlite" { "path = \"stock.db\"\n" } else { "" };
    let main = format!(
        "name = \"bench\"\nsellers = \"seller.toml\"\n[sink]\nkind = \"{sink}\"\n{path}\
         [http]\nlisten = \"\"\n"
    );
    let url = shop.server.url("postgres", "postgres");
    let slot = slot.map_or(String::new(), |slot| format!("slot = \"{slot}\"\n"));
    let seller = format!(
        "seller = \"acme\"\n[source]\nkind = \"postgres\"\nurl = \"{url}?sslmode=disable\"\n\
         publication = \"bench\"\n{slot}[[stock]]\ntable = \"public.inventory\"\nitem = \"id\"\n\
         sku = \"sku\"\non_hand = \"quantity\"\navailable = \"quantity - reserved\"\n\
         coalesce = false\n"
    );
    std::fs::write(folder.join("tailstock.toml"), main).unwrap();
    std::fs::write(folder.join("seller.toml"), seller).unwrap();
}

//! What following a seller costs its server: watched on a timer of its own, whatever the sink and
//! the seller's loop are doing, and ended where it is more than the seller has agreed to.

use std::time::{Duration, Instant};

use connector_api::{Error, LogKeeping, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use super::Outside;
use crate::config::{Config, Protect, RETAINED_WAL_DEFAULT, SellerConfig, SinkConfig, SourceKind};
use crate::seller::{self, Keep};
use crate::telemetry::{SellerMetrics, chain};

/// Between two looks while there is nothing to say, and while there is.
const CALM: Duration = Duration::from_secs(30);
const BUSY: Duration = Duration::from_secs(5);
/// Between the first looks at two sellers.
const APART: Duration = Duration::from_millis(20);
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a reader has to let the server go of log that piled up while nobody looked, and after
/// how long nobody has.
const CATCHES_UP: Duration = Duration::from_secs(30);
const UNSEEN: Duration = Duration::from_secs(120);
/// Seconds of log still there below which people are warned.
const SOON: u64 = 24 * 3600;

/// What this process has to do with the store, and so with the sellers' logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Duty {
    /// The store cannot be opened: nobody publishes, as far as is known here.
    Waiting,
    /// Another process works.
    StandingBy,
    /// This one does, under this mark.
    InCharge(Option<String>),
}

/// One guard for each seller; they end when dropped.
pub(super) struct Guards {
    duty: watch::Sender<Duty>,
    reliefs: Vec<watch::Sender<bool>>,
    _tasks: JoinSet<()>,
}

impl Guards {
    /// Guards of every seller, in their order. Where nothing is stored, no server keeps anything.
    pub(super) fn start(config: &Config, outside: &Outside) -> Self {
        let (duty, _) = watch::channel(Duty::Waiting);
        let (mut reliefs, mut tasks) = (Vec::new(), JoinSet::new());
        for (nth, seller) in config.sellers.iter().enumerate() {
            let (relief, _) = watch::channel(false);
            reliefs.push(relief.clone());
            if matches!(config.sink, SinkConfig::Discard) {
                continue;
            }
            let guard = Guard {
                installation: config.clone(),
                config: seller.clone(),
                metrics: outside.telemetry.board.seller(seller),
                duty: duty.subscribe(),
                relief,
                kept: None,
                said: None,
            };
            let nth = u32::try_from(nth).unwrap_or(u32::MAX);
            tasks.spawn(guard.watch(BUSY + APART.saturating_mul(nth)));
        }
        Self { duty, reliefs, _tasks: tasks }
    }

    /// What the process has to do from now on.
    pub(super) fn assign(&self, duty: Duty) {
        self.duty.send_replace(duty);
    }

    /// Is true while the server of the seller of this number is relieved of its log.
    pub(super) fn relief(&self, nth: usize) -> watch::Receiver<bool> {
        self.reliefs[nth].subscribe()
    }
}

struct Guard {
    installation: Config,
    config: SellerConfig,
    metrics: SellerMetrics,
    duty: watch::Receiver<Duty>,
    relief: watch::Sender<bool>,
    /// What was seen of the log that the server keeps.
    kept: Option<Kept>,
    /// What people were warned of last, so that they are told once.
    said: Option<&'static str>,
}

impl Guard {
    async fn watch(mut self, first: Duration) {
        let mut wait = first;
        loop {
            tokio::time::sleep(wait).await;
            let looked = tokio::time::timeout(PATIENCE, self.look()).await;
            let unanswered = |_| Err(Error::transient("the server does not answer"));
            wait = match looked.unwrap_or_else(unanswered) {
                Ok(Some(Verdict::Fine)) => CALM,
                Ok(Some(_)) => BUSY,
                Ok(None) => self.unknown(),
                Err(error) => {
                    let (seller, source) = self.who();
                    tracing::debug!(seller, source, error = %chain(&error), "not looked at");
                    self.unknown()
                }
            };
        }
    }

    /// What the server keeps is not known, until it is looked at again.
    fn unknown(&self) -> Duration {
        self.metrics.log_kept(LogKeeping::default());
        CALM
    }

    /// `None` where another process looks.
    async fn look(&mut self) -> Result<Option<Verdict>> {
        let store = match &*self.duty.borrow() {
            Duty::StandingBy => return Ok(None),
            Duty::Waiting => None,
            Duty::InCharge(store) => store.clone(),
        };
        let keep = Keep::of(&self.installation, &self.config, store.as_deref());
        let connector = seller::connect(&self.config.source, &keep)?;
        let place = self.metrics.place();
        let place = place.as_ref().map(|(lineage, position)| (lineage, position));
        let keeping = connector.log_keeping(place).await?;
        let kept = Kept::after(self.kept, keeping.retained_bytes.unwrap_or(0), Instant::now());
        self.kept = Some(kept);
        let mut verdict = judge(&self.config.source.kind, &keeping, kept.is_falling());
        self.metrics.log_kept(keeping);
        if let Verdict::Relieve(_) = verdict {
            // First whoever reads stops: nobody goes on from a slot that is about to go.
            match relieving(&self.relief, connector.release_log()).await {
                Ok(()) => self.metrics.log_kept(LogKeeping::default()),
                Err(error) => verdict = unrelieved(&error),
            }
        }
        self.tell(&verdict);
        Ok(Some(verdict))
    }

    fn who(&self) -> (&str, &str) {
        (self.config.seller.as_str(), self.config.source.name.as_str())
    }

    fn tell(&mut self, verdict: &Verdict) {
        let news = match verdict {
            Verdict::Fine => None,
            Verdict::Warn(warning) => Some(warning),
            Verdict::Relieve(warning) => Some(warning),
        };
        let about = news.map(|warning| warning.about);
        if let Some(Warning { about, found, fix }) = news.filter(|_| about != self.said) {
            let (seller, source) = self.who();
            warn!(seller, source, about, fix, "{found}");
        }
        self.said = about;
    }
}

/// Says that a server is relieved of its log for as long as that takes, and no longer when it is
/// given up half-way: nobody else would let the seller begin again.
async fn relieving<T>(relief: &watch::Sender<bool>, work: impl Future<Output = T>) -> T {
    struct Over<'a>(&'a watch::Sender<bool>);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.send_replace(false);
        }
    }
    relief.send_replace(true);
    let _over = Over(relief);
    work.await
}

/// What was seen of the log that a server keeps for us.
#[derive(Debug, Clone, Copy)]
struct Kept {
    least: u64,
    /// When it was that little for the first time.
    since: Instant,
    seen: Instant,
}

impl Kept {
    fn after(before: Option<Self>, retained: u64, now: Instant) -> Self {
        let is_known = |before: &Self| now - before.seen < UNSEEN && before.least <= retained;
        let known = before.filter(is_known).map(|before| Self { seen: now, ..before });
        known.unwrap_or(Self { least: retained, since: now, seen: now })
    }

    /// Whether it is, or may be about to be, less than ever since somebody looks: log that piled up
    /// before is being read.
    fn is_falling(&self) -> bool {
        self.seen - self.since < CATCHES_UP
    }
}

/// What is said to people.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Warning {
    about: &'static str,
    found: String,
    fix: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Fine,
    Warn(Warning),
    /// The server is to keep no log any more.
    Relieve(Warning),
}

/// Whether what a server keeps is as it should be.
fn judge(kind: &SourceKind, keeping: &LogKeeping, is_falling: bool) -> Verdict {
    let warn = |about, found, fix| Verdict::Warn(Warning { about, found, fix });
    let retained = keeping.retained_bytes.unwrap_or(0);
    if let Some((budget, protect)) = budget(kind, keeping) {
        let found = format!(
            "the server keeps {} MiB of log for this reader, of {} MiB it is to keep",
            retained >> 20,
            budget >> 20
        );
        if retained > budget && protect == Protect::Seller && !is_falling {
            let found =
                format!("{found}: the slot is dropped, and the stream goes on behind a gap");
            let fix = "see why events could not be published; raise retained_wal_bytes if the disk \
                       bears it";
            return Verdict::Relieve(Warning { about: "log given up", found, fix });
        }
        if retained > budget {
            let fix = "see why events cannot be published, before the server's disk is full";
            return warn("log over its limit", found, fix);
        }
        if retained > budget / 2 {
            let fix = "see why events cannot be published";
            return warn("log piles up", found, fix);
        }
    }
    match (keeping.headroom_bytes, keeping.headroom_seconds) {
        (Some(bytes), _) if bytes < retained / 4 => {
            let found = format!("{} MiB more and the server removes unread log", bytes >> 20);
            warn("log about to be removed", found, "see why events cannot be published")
        }
        (_, Some(seconds)) if seconds < SOON => {
            let found = format!("unread log is removed in {} hours", seconds / 3600);
            let fix = "have the server keep its binlogs longer, or see why they are not read";
            warn("log about to be removed", found, fix)
        }
        _ => Verdict::Fine,
    }
}

/// A server that was to be relieved, and is not.
fn unrelieved(error: &Error) -> Verdict {
    let found = format!("the server keeps too much log, and its slot is not dropped: {error}");
    let fix = "drop it with pg_drop_replication_slot before the server's disk is full";
    Verdict::Warn(Warning { about: "log not given up", found, fix })
}

/// How much log a server may keep for us, and who gives way behind that.
fn budget(kind: &SourceKind, keeping: &LogKeeping) -> Option<(u64, Protect)> {
    let SourceKind::Postgres { retained_wal_bytes, protect, .. } = kind else { return None };
    let bytes = match retained_wal_bytes {
        Some(bytes) => *bytes,
        None if keeping.is_limited => 0,
        None => RETAINED_WAL_DEFAULT,
    };
    (bytes > 0).then_some((bytes, *protect))
}

/// What a seller is told that is stopped for it.
pub(super) fn relieved() -> Error {
    Error::transient("the server kept more log for this reader than it is to; it keeps none now")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Loader;
    use crate::telemetry::StatusBoard;

    #[tokio::test]
    async fn what_a_server_keeps_that_cannot_be_asked_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let main = "name = 'test'\nsellers = 'acme.toml'\n[sink]\nkind = 'discard'\n";
        let seller = format!(
            "seller = 'acme'\n[source]\nkind = 'postgres'\nurl = \
             'postgresql://u@{nobody}/d?sslmode=disable'\n[[stock]]\ntable = 'public.stock'\n\
             item = 'id'\non_hand = 'qty'\n"
        );
        std::fs::write(folder.path().join("main.toml"), main).unwrap();
        std::fs::write(folder.path().join("acme.toml"), seller).unwrap();
        let installation = Loader::alone().load(&folder.path().join("main.toml")).unwrap();
        let (board, config) = (StatusBoard::default(), installation.sellers[0].clone());
        let metrics = board.seller(&config);
        metrics.log_kept(keeps(1 << 20, true));
        let (_duty, duty) = watch::channel(Duty::InCharge(None));
        let (relief, _) = watch::channel(false);
        let guard = Guard {
            installation,
            config,
            metrics: metrics.clone(),
            duty,
            relief,
            kept: None,
            said: None,
        };
        let watching = tokio::spawn(guard.watch(Duration::ZERO));
        while board.statuses()[0].retained_log_bytes.is_some() {
            tokio::task::yield_now().await;
        }
        watching.abort();
    }

    fn postgres(retained_wal_bytes: Option<u64>, protect: Protect) -> SourceKind {
        let (publication, slot) = (String::new(), None);
        SourceKind::Postgres { publication, slot, retained_wal_bytes, protect }
    }

    fn keeps(retained: u64, is_limited: bool) -> LogKeeping {
        LogKeeping { retained_bytes: Some(retained), is_limited, ..LogKeeping::default() }
    }

    fn about(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Fine => "",
            Verdict::Warn(warning) | Verdict::Relieve(warning) => warning.about,
        }
    }

    #[tokio::test]
    async fn a_relief_that_is_given_up_half_way_does_not_keep_its_seller_from_beginning_again() {
        let (relief, seen) = watch::channel(false);
        let endless = async {
            assert!(*seen.borrow(), "the seller reads on meanwhile");
            std::future::pending::<()>().await;
        };
        let patience = Duration::from_millis(10);
        assert!(tokio::time::timeout(patience, relieving(&relief, endless)).await.is_err());
        assert!(!*seen.borrow());
        relieving(&relief, async { assert!(*seen.borrow()) }).await;
        assert!(!*seen.borrow());
    }

    #[test]
    fn a_server_without_a_limit_of_its_own_has_ours() {
        const GIB: u64 = 1 << 30;
        let judged = |bytes, protect, retained, is_limited| {
            judge(&postgres(bytes, protect), &keeps(retained, is_limited), false)
        };
        let (seller, stream) = (Protect::Seller, Protect::Stream);
        assert_eq!(judged(None, seller, 4 * GIB, false), Verdict::Fine);
        assert_eq!(about(&judged(None, seller, 6 * GIB, false)), "log piles up");
        assert!(matches!(judged(None, seller, 11 * GIB, false), Verdict::Relieve(_)));
        assert_eq!(about(&judged(None, stream, 11 * GIB, false)), "log over its limit");
        assert_eq!(judged(None, seller, 900 * GIB, true), Verdict::Fine);
        assert_eq!(judged(Some(0), seller, 900 * GIB, false), Verdict::Fine);
        assert!(matches!(judged(Some(GIB), seller, GIB + 1, true), Verdict::Relieve(_)));
        assert_eq!(about(&judged(Some(GIB), seller, GIB, true)), "log piles up");
    }

    /// At which of these looks, at seconds, a server with a limit of 100 MiB is relieved.
    fn relieved_at(looks: &[(u64, u64)]) -> Option<u64> {
        let (kind, start) = (postgres(Some(100 << 20), Protect::Seller), Instant::now());
        let mut kept = None;
        let mut is_relieved = |&(seconds, mib): &(u64, u64)| {
            let retained = mib << 20;
            let seen = Kept::after(kept, retained, start + Duration::from_secs(seconds));
            kept = Some(seen);
            let verdict = judge(&kind, &keeps(retained, false), seen.is_falling());
            matches!(verdict, Verdict::Relieve(_))
        };
        looks.iter().find(|look| is_relieved(look)).map(|(seconds, _)| *seconds)
    }

    #[test]
    fn a_reader_that_catches_up_keeps_its_slot_as_long_as_log_goes() {
        let catches_up = [(5, 900), (10, 900), (30, 910), (34, 700), (60, 710), (63, 300), (90, 9)];
        assert_eq!(relieved_at(&catches_up), None);
        // Nobody could look for a while.
        assert_eq!(relieved_at(&[(5, 9), (200, 900), (205, 800), (235, 50)]), None);
        let halts = [(5, 900), (10, 800), (35, 800), (39, 850), (40, 800), (45, 700)];
        assert_eq!(relieved_at(&halts), Some(40));
        let falls_behind = [(5, 9), (40, 80), (70, 101), (75, 90)];
        assert_eq!(relieved_at(&falls_behind), Some(70), "there was time to say that it does");
    }

    #[test]
    fn log_that_is_about_to_go_is_told() {
        let kind = SourceKind::Mysql { server_id: None, first_file: None };
        let left = |seconds| LogKeeping { headroom_seconds: Some(seconds), ..keeps(0, true) };
        let judge = |kind, keeping| judge(kind, &keeping, false);
        assert_eq!(judge(&kind, left(SOON)), Verdict::Fine);
        assert_eq!(about(&judge(&kind, left(SOON - 1))), "log about to be removed");
        let kind = postgres(None, Protect::Seller);
        let left = |bytes| LogKeeping { headroom_bytes: Some(bytes), ..keeps(1000, true) };
        assert_eq!(judge(&kind, left(250)), Verdict::Fine);
        assert_eq!(about(&judge(&kind, left(249))), "log about to be removed");
    }
}

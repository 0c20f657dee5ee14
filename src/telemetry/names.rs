//! Every metric's name, with the text that scrapers see.

/// A metric: its name and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The name.
    pub name: &'static str,
    /// The meaning.
    pub help: &'static str,
}

macro_rules! names {
    ($($constant:ident = $name:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Name = Name { name: $name, help: $help };)*
        /// All of them.
        pub const ALL: &[Name] = &[$($constant),*];
    };
}

names! {
    BUILD_INFO = "tailstock_build_info",
        "Always 1; the label tells the version.";
    ROWS_READ = "tailstock_rows_read_total",
        "Row changes of captured tables that were read from the log.";
    ROWS_FILTERED = "tailstock_rows_filtered_total",
        "Row changes that no mapping wanted.";
    ROWS_COALESCED = "tailstock_rows_coalesced_total",
        "Row changes folded into a later one of the same transaction and key.";
    EVENTS_PUBLISHED = "tailstock_events_published_total",
        "Stock events that were committed to the sink.";
    DEAD_LETTERS = "tailstock_dead_letters_total",
        "Rows that could not be mapped and were committed to the dead letters.";
    RESTARTS = "tailstock_restarts_total",
        "Times the source was started again after an error.";
    COMMITS = "tailstock_commits_total",
        "Commits to the sink.";
    COMMIT_SECONDS = "tailstock_commit_seconds",
        "How long a commit to the sink took.";
    COMMIT_TO_PUBLISHED_SECONDS = "tailstock_commit_to_published_seconds",
        "From a transaction's commit at the source to its events' commit at the sink.";
    LAG_BYTES = "tailstock_lag_bytes",
        "Bytes of log between what was confirmed and the server's end, while it is followed.";
    OLDEST_UNCONFIRMED_SECONDS = "tailstock_oldest_unconfirmed_seconds",
        "Age of the oldest change read and not confirmed, while the log is followed; 0: none.";
    LAST_CONTACT_SECONDS = "tailstock_last_contact_seconds",
        "Time since the server was last heard.";
    DIRTY_TABLES = "tailstock_dirty_tables",
        "Tables whose published levels cannot be trusted until they are read anew.";
    SNAPSHOT_ROWS = "tailstock_snapshot_rows_total",
        "Rows that were read from tables as a whole, beside the log.";
    SNAPSHOT_ACTIVE = "tailstock_snapshot_active",
        "1 while a table of the source is read as a whole, else 0.";
    RETAINED_LOG_BYTES = "tailstock_retained_log_bytes",
        "Bytes of log that the server keeps for this reader alone.";
    LOG_HEADROOM_BYTES = "tailstock_log_headroom_bytes",
        "Bytes the server may write until it removes log that has not been read.";
    LOG_HEADROOM_SECONDS = "tailstock_log_headroom_seconds",
        "Time until the server removes log that has not been read.";
    SELLER_STATE = "tailstock_seller_state",
        "1 for the state the source is in, 0 for the others.";
    BROKER_ROUND_TRIP_SECONDS = "tailstock_broker_round_trip_seconds",
        "Mean time a broker took to answer a request, over the last seconds.";
    BROKER_ERRORS = "tailstock_broker_errors_total",
        "Requests to a broker that failed or were sent again, and connections it ended; by kind.";
    PROCESS_CPU_SECONDS = "process_cpu_seconds_total",
        "Processor time of this process, user and system.";
    PROCESS_RESIDENT_BYTES = "process_resident_memory_bytes",
        "Resident memory of this process.";
}

/// Label: the seller.
pub const SELLER: &str = "seller";
/// Label: the seller's source.
pub const SOURCE: &str = "source";
/// Label: the state of a source.
pub const STATE: &str = "state";
/// Label: the address of a broker.
pub const BROKER: &str = "broker";
/// Label: what went wrong.
pub const KIND: &str = "kind";
/// Label: the version of this build.
pub const VERSION: &str = "version";

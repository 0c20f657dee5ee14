//! What every connector must do, against a real server.
//!
//! A connector's tests implement [`Backend`] for a server of their own and run every one of
//! [`SCENARIOS`] on it, one after the other; a scenario panics where the connector breaks a
//! promise. The connector depends on this crate a second time, with the feature:
//!
//! ```toml
//! [dev-dependencies]
//! connector-api = { workspace = true, features = ["conformance"] }
//! ```
//!
//! and its test is, for each version of the database that is supported:
//!
//! ```no_run
//! use connector_api::conformance::{Backend, SCENARIOS};
//!
//! async fn keeps_every_promise(server: &dyn Backend) {
//!     for scenario in SCENARIOS {
//!         println!("{}", scenario.name);
//!         scenario.run(server).await;
//!     }
//! }
//! ```
//!
//! The suite speaks SQL that every database understands, and makes its tables `item` and `other`
//! itself; what else the connector needs on the server (a publication of all tables, a role that
//! may read the log) is there before the first scenario. It runs on a runtime with time and I/O.
//! What only one database has (types, row images that leave columns out, ways to lose a log) is
//! tested with its connector.
//!
//! | file | promises |
//! |---|---|
//! | `changes` | what a change looks like |
//! | `blocks` | large transactions come in pieces and go on in the middle |
//! | `progress` | nothing is missing, nothing comes twice, positions and heads tell the truth |
//! | `snapshot` | tables are read whole, and stand to the log as their fences say |
//! | `tail` | reads a stream into events that can be compared |
//! | `reader` | reads a stream into lines, for what each connector proves besides |

mod blocks;
mod changes;
mod progress;
mod reader;
mod snapshot;
mod tail;

use std::pin::Pin;

use async_trait::async_trait;
pub use reader::{Reader, lines, within};

use crate::{Capture, CaptureTable, Columns, Connector, TableName};

/// A server the suite may do with as it likes.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Runs these statements as one transaction, and waits until it is committed. A statement that
    /// commits by itself (DDL in some databases) comes alone.
    async fn transaction(&self, statements: &[&str]);

    /// Runs these statements and rolls back.
    async fn rolled_back(&self, statements: &[&str]);

    /// Runs these statements in a transaction on a connection of its own, and leaves it open.
    async fn left_open(&self, statements: &[&str]) -> Box<dyn OpenTransaction>;

    /// Types a table's only key may have, as `CREATE TABLE` spells them, each with literals of
    /// values that differ, in no order: integers to their ends (unsigned ones where there are
    /// any), exact decimals, text under several collations, bytes, UUIDs, times.
    fn keys(&self) -> Vec<(&'static str, Vec<&'static str>)>;

    /// Waits until the server knows that every stream opened so far has ended.
    async fn released(&self);

    /// Has the server forget every position it keeps for [`Self::connector`] (drops the slot).
    /// Nothing to do where the server keeps none. No stream is open.
    async fn forget(&self);

    /// A connector of the database in which statements run, each time with the same position on
    /// the server.
    fn connector(&self) -> Box<dyn Connector>;

    /// The schema or database a table without one belongs to.
    fn schema(&self) -> String;
}

/// A transaction that is under way. One that is dropped is rolled back.
#[async_trait]
pub trait OpenTransaction: Send {
    /// Commits it, and waits until that is done.
    async fn commit(self: Box<Self>);
}

/// A scenario under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One promise.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// The promise as a sentence with underscores.
    pub name: &'static str,
    start: for<'a> fn(&'a dyn Backend) -> Running<'a>,
}

impl Scenario {
    /// Makes the suite's tables anew and keeps the promise, or panics.
    pub async fn run(&self, backend: &dyn Backend) {
        backend.released().await;
        backend.forget().await;
        for table in ["item", "other"] {
            backend.transaction(&[&format!("DROP TABLE IF EXISTS {table}")]).await;
        }
        let item = "CREATE TABLE item (id INT PRIMARY KEY, qty INT, note VARCHAR(200))";
        backend.transaction(&[item]).await;
        backend.transaction(&["CREATE TABLE other (id INT PRIMARY KEY, qty INT)"]).await;
        (self.start)(backend).await;
    }
}

macro_rules! scenarios {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        /// Every promise.
        pub const SCENARIOS: &[Scenario] = &[
            $(Scenario {
                name: stringify!($name),
                start: |backend| Box::pin($module::$name(backend)),
            }),+
        ];
    };
}

scenarios![
    changes::inserts_updates_and_deletes_arrive_in_the_order_they_happened,
    changes::a_key_change_shows_the_old_key_and_the_new,
    changes::null_is_null_and_what_is_not_known_is_absent,
    changes::what_was_rolled_back_is_never_seen,
    changes::a_changed_table_says_so_before_its_next_row,
    changes::a_table_that_changed_before_its_first_row_says_so_before_that,
    changes::a_table_that_was_made_again_is_cleared_though_no_row_of_the_old_one_came,
    changes::a_truncated_table_is_cleared_in_its_place,
    changes::only_captured_tables_and_columns_arrive,
    changes::a_survey_describes_the_captured_tables,
    blocks::a_large_transaction_comes_in_blocks_and_goes_on_in_the_middle,
    blocks::a_transaction_that_ends_with_a_block_comes_whole_and_once,
    blocks::another_transaction_in_place_of_a_partial_one_is_an_error,
    progress::everything_after_establish_is_seen,
    progress::what_was_durable_does_not_come_again_and_the_rest_does,
    progress::what_was_not_confirmed_is_kept_by_the_server,
    progress::a_read_that_is_given_up_loses_nothing,
    progress::a_stream_tells_how_far_its_server_is,
    progress::a_replay_is_the_same_to_the_last_value,
    progress::a_position_that_the_server_has_forgotten_is_a_gap_or_still_good,
    progress::changes_of_others_are_progress_without_events,
    progress::coordinates_rise_and_positions_cover_what_lies_before_them,
    snapshot::chunks_give_every_row_once_whatever_its_key_and_as_the_stream_gives_it,
    snapshot::chunks_of_a_key_of_several_columns_give_every_row_once,
    snapshot::a_table_without_a_key_is_read_at_once,
    snapshot::an_empty_table_is_one_chunk_without_rows,
    snapshot::a_chunk_holds_the_wanted_columns_alone,
    snapshot::a_cursor_outlives_its_row,
    snapshot::what_was_streamed_before_settling_is_seen,
    snapshot::a_transaction_that_is_open_is_not_seen_and_the_fence_says_so,
    snapshot::a_stream_reaches_the_fence_of_a_chunk_and_what_was_seen_lies_before_it,
    snapshot::a_filter_leaves_out_no_row_for_which_it_is_true,
];

/// Every column of `item`.
fn items(backend: &dyn Backend) -> Capture {
    capture(backend, "item", Columns::All)
}

fn capture(backend: &dyn Backend, table: &str, columns: Columns) -> Capture {
    let name = TableName::new(backend.schema(), table);
    Capture { tables: vec![CaptureTable { name, columns }] }
}

/// An insert of `item` rows from `first` up to, not including, `end`.
fn insert(first: u32, end: u32) -> String {
    let row = |id: u32| format!("({id},{id},'n{id}')");
    let rows: Vec<String> = (first..end).map(row).collect();
    format!("INSERT INTO item VALUES {}", rows.join(","))
}

//! What a row means: a seller's definition of its stock, compiled against the tables that exist
//! ([`Plan`]), applied to batches of row changes ([`Mapper`]).
//!
//! ```text
//! definition (config) --compile--> Plan --+
//!                                         +--> Mapper: Batch -> events, dead letters, control
//! cached rows and owners (state) ---------+
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `expression` | the checked SQL subset and its evaluation |
//! | `definition`, `compile`, `plan` | from words to compiled fields and the columns to capture |
//! | `types` | what a database's types are to expressions |
//! | `pattern` | a definition of many tables to one of each |
//! | `field`, `row` | reading one value out of a row image, completed from the cache |
//! | `standing` | what one image says of its key: live, outside, removed |
//! | `change` | from what a row said before and says now to the keys it touches |
//! | `condition` | which rows anybody asks for, as far as a server can judge it |
//! | `lookup`, `sum` | rows of other tables beside a row, and sums over the rows of a key |
//! | `derive`, `toucher` | what a change of one row means for every row that depends on it |
//! | `cascade` | rows that a server deletes with another one, and does not log |
//! | `level` | what is said of a key that takes more than one row |
//! | `memory`, `wanted`, `load` | what is remembered of a table, and how it comes back |
//! | `block` | the last touch of every key within one block of a transaction |
//! | `notice` | what happened to a table as a whole |
//! | `held` | removals that wait for the end of a large transaction |
//! | `complete`, `publish` | mappings of several tables: silent until all are read, then all keys |
//! | `grace` | removals that wait for a later event of their key |
//! | `transaction` | what the rows of one transaction share |
//! | `watch` | which rows the stream changes while a table is read |
//! | `chunk` | rows that were read in, and what a snapshot has not seen any more |
//! | `mapper` | a batch in, everything that follows out |
//! | `emit` | one surviving touch to one stock event |

mod block;
mod cascade;
mod change;
mod chunk;
mod compile;
mod complete;
mod condition;
mod definition;
mod derive;
mod emit;
pub mod expression;
mod field;
mod grace;
mod held;
mod level;
mod load;
mod lookup;
mod mapper;
mod memory;
mod notice;
mod pattern;
mod plan;
mod publish;
mod row;
mod standing;
mod sum;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod toucher;
mod transaction;
mod types;
mod wanted;
mod watch;

pub use chunk::{Synthetic, Vanished};
pub use definition::{Definition, Kind, Lookup};
pub use field::misfit;
pub use lookup::LOOKUPS_MAX;
pub use mapper::{Counts, Mapped, Mapper, SourceIdentity};
pub use notice::Notice;
pub use pattern::{STAR, STAR_TEXT, is_meant, is_pattern, star_of};
pub use plan::{Plan, PlanError};
pub use publish::DerivedKey;
pub use row::write_json;
pub use transaction::Rejected;

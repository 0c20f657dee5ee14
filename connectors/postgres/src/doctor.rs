//! What streaming needs from the server. Looking changes nothing there, and judging needs no
//! server.
//!
//! | file | owns |
//! |---|---|
//! | `facts` | what is known of a server |
//! | `gather` | how it comes to be known: SQL |
//! | `findings` | what is not as it should be, with its fix |
//! | `coverage` | what the publication lets through, in words that change when that does |
//! | `continuity` | whether the log behind a checkpoint is whole |
//! | `establish` | the slot: made, found again, or replaced |
//! | `detach` | the slot: dropped, and what the DBA can undo |
//! | `keeping` | how much log the slot holds |
//! | `predecessor` | a process that was in charge before and still holds the slot |
//! | `quote` | names and texts as SQL |

mod continuity;
mod coverage;
mod detach;
mod establish;
mod facts;
mod findings;
mod gather;
mod keeping;
mod predecessor;
mod quote;

pub(crate) use continuity::continuity;
pub(crate) use coverage::coverage;
pub(crate) use detach::detach;
pub(crate) use establish::{SEE_TRANSACTIONS, WORTH_TELLING, establish, made};
pub(crate) use facts::{Facts, System, parse_forks};
pub(crate) use findings::findings;
pub(crate) use gather::{former, gather};
pub(crate) use keeping::{log_keeping, release};
pub(crate) use predecessor::end_predecessor;
pub(crate) use quote::{identifier, literal, qualified};

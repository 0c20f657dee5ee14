//! What streaming needs from the server. Looking changes nothing there, and judging needs no
//! server.
//!
//! | file | owns |
//! |---|---|
//! | `facts` | what is known of a server |
//! | `grants` | what its account may do |
//! | `gather` | how it comes to be known: SQL |
//! | `findings` | what is not as it should be, with its fix |
//! | `coverage` | what the log lets through, in words that change when that does |
//! | `undo` | what its DBA can take back |
//! | `quote` | names and texts as SQL |

mod coverage;
mod facts;
mod findings;
mod gather;
mod grants;
mod quote;
mod undo;

pub use coverage::coverage;
pub use facts::{Facts, kept_seconds, server_facts};
pub use findings::findings;
pub(crate) use gather::{REFUSED, SHOW_GENERATED_KEYS, has_everywhere, text};
pub use gather::{columns, gather, head, visible_columns};
pub(crate) use quote::{account, identifier, literal, qualified};
pub use undo::undo;

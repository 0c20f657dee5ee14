//! What is safe: which position may be remembered, confirmed or continued from.

mod ledger;
mod lifecycle;
mod resume;

pub use ledger::Ledger;
pub use lifecycle::{Lifecycle, Next, next_after};
pub use resume::{Decision, choose_resume};

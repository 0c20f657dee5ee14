//! What is safe: which position may be remembered, confirmed or continued from.

mod ledger;
mod lifecycle;
mod pace;
mod resume;
mod touches;

pub use ledger::Ledger;
pub use lifecycle::{Lifecycle, Next, next_after};
pub use pace::Pace;
pub use resume::{Decision, choose_resume};
pub use touches::{Said, Touches};

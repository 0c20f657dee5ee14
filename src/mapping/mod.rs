//! What a row means.

mod definition;
pub mod expression;

pub use definition::{Definition, Kind};

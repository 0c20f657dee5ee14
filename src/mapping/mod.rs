//! What a row means.

pub mod expression;

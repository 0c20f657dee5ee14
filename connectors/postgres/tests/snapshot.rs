//! Tables of real servers, read as they are.

mod fences;
mod refusals;
mod tables;
mod values;

//! The integration tests of tailstock: one binary, a module for each kind of promise.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod cli;
mod config;
#[cfg(feature = "kafka")]
mod consuming;
mod e2e;
mod expressions;
mod sim;
mod support;
mod tidy;

//! The integration tests of tailstock: one binary, a module for each kind of promise.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod cli;
mod config;
mod e2e;
mod expressions;
mod sim;
mod support;
mod tidy;

//! The integration tests of tailstock: one binary, a module for each kind of promise.
#![allow(clippy::unwrap_used)]

mod config;
mod e2e;
mod sim;
mod support;
mod tidy;

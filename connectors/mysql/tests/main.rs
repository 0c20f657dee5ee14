//! The connector against real servers, and against servers that misbehave as real ones seldom do.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod cascades;
mod conformance;
mod doctor;
mod dump;
mod login;
mod misbehaving;
mod stream;
mod support;
mod tls;

//! The connector against real servers, and against servers that misbehave as real ones seldom do.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod conformance;
mod continuity;
mod detach;
mod doctor;
mod keeping;
mod misbehaving;
mod promotion;
mod refused;
mod rows;
mod session;
mod shapes;
mod snapshot;
mod stream;
mod support;
mod tls;

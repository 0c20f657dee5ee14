//! The connector against real servers, and against servers that misbehave as real ones seldom do.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod beginning;
mod beside;
mod binlog;
mod cascades;
mod conformance;
mod detach;
mod distributed;
mod doctor;
mod dump;
mod gone;
mod granted;
mod hosts;
mod images;
mod keeping;
mod login;
mod misbehaving;
mod recorded;
mod replica;
mod snapshot;
mod stalled;
mod stream;
mod support;
mod text;
mod tls;
mod values;

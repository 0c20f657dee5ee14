//! Promises proved on real servers, one file for each kind of disruption.

mod canary;
mod connections;
mod detach;
mod documented;
mod gaps;
mod guard;
mod idle;
#[cfg(feature = "kafka")]
mod kafka;
mod kill;
mod large;
mod mappings;
mod mysql_states;
mod orders;
mod owners;
mod patterns;
mod power;
mod refused;
mod remembered;
mod replay;
mod restarts;
mod server_states;
mod sessions;
mod shops;
mod snapshot;
mod tail;
mod types;

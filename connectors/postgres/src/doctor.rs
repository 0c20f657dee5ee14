//! What streaming needs from the server: gathered by SQL ([`facts`]), judged without it
//! ([`findings`], [`continuity`]). Looking changes nothing on the server.

mod continuity;
mod facts;
mod findings;
mod quote;

pub(crate) use continuity::continuity;
pub(crate) use facts::{Facts, gather, parse_forks};
pub(crate) use findings::findings;
pub(crate) use quote::identifier;

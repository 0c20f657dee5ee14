#![allow(clippy::unwrap_used)]

mod damage;
mod encode;
mod events;
mod fixtures;
mod packed;
mod tables;

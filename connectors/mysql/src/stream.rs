//! The open stream.

pub mod packet;

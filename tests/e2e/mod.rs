//! Promises proved on real servers, one file for each kind of disruption.

mod kill;

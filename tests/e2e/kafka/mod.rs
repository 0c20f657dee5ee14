//! The promises about Kafka, on real brokers.

mod fencing;
mod kill;

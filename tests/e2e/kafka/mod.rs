//! The promises about Kafka, on real brokers.

mod kill;

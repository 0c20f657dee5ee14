//! The promises about Kafka, on real brokers.

mod acl;
mod ending;
mod failures;
mod fencing;
mod forget;
mod formats;
mod kill;
mod logins;
mod lost;
mod outages;
mod states;

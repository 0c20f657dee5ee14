//! How a distributed transaction of two phases stands in the logs of our servers.

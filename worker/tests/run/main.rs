//! The real binary against a coordinator in miniature: real streams, real ranks, real signals.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

mod coordinator;
mod devices;
mod disconnect;
mod fitness;
mod lifecycle;
mod ports;
mod spool;
mod worker;

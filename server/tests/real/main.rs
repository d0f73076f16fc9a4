//! The coordinator as others meet it: over its port, and as a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod actor;
#[path = "../../src/tests/cluster.rs"]
mod cluster;
mod ground;
mod house;
mod process;
mod service;

//! The coordinator as its clients see it: over its port, and as a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access;
mod backup;
mod browser;
mod by_url;
mod data;
mod fake_worker;
mod fit;
mod metrics;
mod page;
mod page_actions;
mod page_speed;
mod process;
mod server;
mod service;
mod slow;
mod spans;
mod tls;

/// Longer than anything here takes.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

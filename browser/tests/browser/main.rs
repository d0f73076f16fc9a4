//! The page in Debian's Chromium. Ignored, because users need no browser to build: `make rehearse PARTS=browser` installs one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod chromium;
#[expect(dead_code, reason = "the tests of the server use more of it")]
#[path = "../../../server/tests/real/fake_worker.rs"]
mod fake_worker;
mod house;
mod page;
#[expect(dead_code, reason = "the tests of the server use more of it")]
#[path = "../../../server/tests/real/server.rs"]
mod server;

/// Longer than anything here takes.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

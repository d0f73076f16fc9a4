//! What end-to-end tests, server tests, `chaos` and `bench` share to run real programs and a real Postgres.
//!
//! - [`Program`] starts a [`Process`] that dies with this process; [`ProcessHandle`] signals it.
//! - [`Binaries`] are the programs of this workspace, [`announced_address`] is where a coordinator listens.
//! - [`Coordinator`] is one coordinator on a Postgres of its own; [`Cluster`] is all that `tandem up` runs.
//! - [`TestDatabase`] is an empty database for one test; [`Database`] queries any.
//! - [`keep_without_token`] makes the settings of one who has joined nothing and knows the certificate.
//! - [`until`] and its kin wait for a condition. Nothing here waits by a fixed sleep.

mod binaries;
mod cluster;
mod coordinator;
mod database;
mod folder;
mod images;
mod outcome;
mod process;
mod process_handle;
mod program;
mod settings;
mod test_database;
mod wait;

pub use binaries::{Binaries, socket_beside};
pub use cluster::{Cluster, small_experiment};
pub use coordinator::{Coordinator, announced_address};
pub use database::{APPLICATION_NAME, Database};
pub use images::write_image_folder;
pub use nix::sys::signal::Signal;
pub use outcome::{Outcome, run};
pub use process::Process;
pub use process_handle::{ProcessHandle, children, command_line, descendants};
pub use program::{Program, command};
pub use settings::keep_without_token;
pub use test_database::TestDatabase;
pub use wait::{try_until, until, until_async};

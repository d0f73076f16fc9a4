//! The coordinator. Postgres is the only truth: this process may be killed at any moment, and several may run on one
//! database.
//!
//! Data flow through the files that bear these names: [`submit`] takes an experiment file, [`schedule`] gives its jobs
//! to workers and has [`stop`] ask others for room, [`dispatch`] tells them, [`report`] stores what they say, [`reap`]
//! finds who has gone silent, [`conclude`] draws the conclusions, [`unblock`] frees what waited, [`query`] answers. [`store`] is the only place that knows SQL,
//! [`rpc`] the only one that knows the wire, [`notifier`] wakes sleepers.

mod broken;
mod cancel;
mod conclude;
mod config;
mod convert;
mod dispatch;
mod error;
mod estimate;
mod notifier;
mod query;
mod reap;
mod release;
mod report;
mod rpc;
mod schedule;
mod start;
mod stop;
mod store;
mod store_path;
mod submit;
mod target;
mod unblock;

#[cfg(test)]
mod tests;

pub use config::{Args, LogFormat};
pub use start::{StartError, run, serve};
pub use store::schema::OpenError;

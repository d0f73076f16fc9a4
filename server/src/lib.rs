//! The coordinator. Postgres is the only truth: this process may be killed at any moment, and several may run on one
//! database.
//!
//! In the order of a job's way: [`submit`] takes an experiment file, unless [`refuse`] says why not, [`schedule`] gives its jobs to workers, by what
//! [`snapshot`] reads, and lets [`stop`] ask gangs to make room, [`dispatch`] sends instructions to workers, [`report`] stores what they report and [`samples`] what their devices are like,
//! [`reap`] finds leases that expired, [`conclude`] ends ranks, attempts and jobs, once [`verify`] has read back what they
//! made, [`unblock`] queues the jobs that waited for them and [`receipts`] says what produced each result. [`query`] answers questions and [`target`] finds what they are about;
//! [`cancel`], of what is one's own by [`wish`], [`release`], [`sharing`], [`datasets`], [`people`] and [`web`] (browsers) are
//! requests of people, and [`telling`] tells them what has happened. [`keeping`] says what of the past stays, and removes the rest.
//!
//! [`start`] runs it all as [`config`] says. Only [`store`] knows SQL. [`rpc`] has the gRPC services, [`page`] shows a browser the
//! same, [`convert`], [`convert_asked`], [`convert_device`] and [`convert_keeping`] make messages, [`error`] their status; [`notifier`] wakes tasks. [`meters`] count what
//! goes on and [`metrics`] shows it, [`spans`] sends how long it took. [`estimate`] predicts how long a job takes, [`images`] says
//! which images it takes and [`fitness`] which workers can have it; [`facts`] fills in what older jobs can be asked by, [`fold`] packs the points of what has ended;
//! [`store_folder`] is the folder of their files and [`store_path`] checks paths in it, [`listen`] accepts connections, [`access`] knows who
//! calls, [`private_file`] reads secrets, [`commands`] does what needs no coordinator ([`backup`] is the largest of it, [`database_args`] says on which database), [`broken`] breaks a rule on purpose, for tests.

mod access;
mod admin_line;
mod audit_drop;
mod backup;
mod broken;
mod cancel;
mod commands;
mod conclude;
mod config;
mod convert;
mod convert_asked;
mod convert_device;
mod convert_keeping;
mod database_args;
mod datasets;
mod dispatch;
mod error;
mod estimate;
mod facts;
mod fitness;
mod fold;
mod images;
mod imports;
mod keeping;
mod listen;
mod meters;
mod metrics;
mod notifier;
mod page;
mod people;
mod private_file;
mod problem;
mod query;
mod reap;
mod receipts;
mod refuse;
mod release;
mod report;
mod rest;
mod rpc;
mod samples;
mod schedule;
mod sharing;
mod snapshot;
mod spans;
mod sql_reader;
mod start;
mod stop;
mod store;
mod store_folder;
mod store_path;
mod submit;
mod target;
mod telling;
mod unblock;
mod verify;
mod web;
mod wish;

#[cfg(test)]
mod tests;

pub use backup::failed::Failed;
pub use commands::{Command, CommandError, Invocation};
pub use config::{Args, LogFormat};
pub use listen::ListenError;
pub use receipts::KeyFileError;
pub use spans::Spans;
pub use start::{StartError, run, serve};
pub use store::schema::OpenError;
pub use telling::{courier::TellingError, options::TellingArgs};

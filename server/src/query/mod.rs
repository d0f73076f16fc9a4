//! Answers to people's questions: single reads, and streams that follow changes.

pub(crate) mod asked;
pub(crate) mod devices;
pub(crate) mod experiments;
pub(crate) mod fetch;
mod follow;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod results;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod thinned;
pub(crate) mod views;
pub(crate) mod watch;

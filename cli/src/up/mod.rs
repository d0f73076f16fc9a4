//! A whole cluster on one machine: Postgres, the coordinator, the workers.
//!
//! Reading order: `plan` (which workers), `socket_place`, `lock` (one supervisor per home), `programs`, `database`, `announced`,
//! `worker_tokens` and `start` (all of it, in order), `supervise` (keep it running, stop it in reverse order), `detach` (the same
//! in the background), `state` (what others read).
//!
//! Children die with the supervisor, even if it is killed: each gets a signal when the thread that started it dies, and
//! each runs in a process group of its own, so that Ctrl-C in a terminal reaches the supervisor only.

pub(crate) mod announced;
pub(crate) mod database;
pub(crate) mod detach;
pub(crate) mod lock;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod restart;
pub(crate) mod socket_place;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod supervise;
pub(crate) mod worker_tokens;

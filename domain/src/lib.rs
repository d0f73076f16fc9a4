//! The pure heart of Tandem: no IO; time is an argument; every decision returns its reason.
//!
//! In the order of a job's life: [`spec`] says what can be asked for, [`plan`] turns an experiment file into jobs,
//! [`place`] gives jobs to workers, [`lease`] says whether they still act for it, [`state`] how jobs and attempts move on,
//! [`quarantine`] which workers get no more, [`timing`] holds every timeout.

pub mod lease;
pub mod place;
pub mod plan;
pub mod quarantine;
pub mod spec;
pub mod state;
pub mod timing;

/// Version of what training computes; part of every content key.
///
/// Raised whenever an unchanged spec would give other bits, so that a result made by older code is never taken for
/// what this code would make. It lives here and not in `learn` because the coordinator, which must not link libtorch,
/// needs it too.
pub const LEARN_VERSION: &str = "3";

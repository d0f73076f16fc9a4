//! The decisions of Tandem, as pure functions: no IO, time is an argument, and every decision returns its reason.
//!
//! In the order of a job's way: [`spec`] has the types of the experiment file, [`plan`] turns a file into jobs, [`images`]
//! says on which images ([`datasets`] has those that people put), [`fit`] which workers a coordinator can have, and [`place`] gives jobs to them
//! (under [`policy`], which says who may have how much); [`lease`] decides
//! whether a rank's lease has expired, [`state`] moves jobs and attempts from state to state, [`read_back`] decides whether
//! a finished attempt's artifacts are whole, [`blame`] what becomes of a job whose attempt was lost and [`quarantine`] which
//! workers get no more jobs, [`device`] whether a device is free and well, and [`timing`] holds every timeout. [`access`]
//! says who may do what, [`telling`] what people are told and where to. [`receipt`] says what produced a result, for others to
//! verify, [`keeping`] what of the past is kept, and [`statistics`] what results of several seeds say together. [`facts`] is what is
//! kept of a job to be asked for, and [`ask`] reads the questions. [`local`] is what a run without a house leaves for one.

pub mod about;
pub mod access;
pub mod ask;
pub mod blame;
pub mod datasets;
pub mod device;
pub mod facts;
pub mod fit;
pub mod images;
pub mod keeping;
pub mod lease;
pub mod local;
pub mod place;
pub mod plan;
pub mod policy;
pub mod quarantine;
pub mod read_back;
pub mod receipt;
pub mod spec;
pub mod state;
pub mod statistics;
pub mod telling;
pub mod timing;
mod words;

/// Version of what training computes; part of every content key.
///
/// Raised whenever an unchanged spec would give other bits, so that a result of older code is never taken for one of
/// this code. It is defined here and not in `learn` because the coordinator needs it too and must not link libtorch.
pub const LEARN_VERSION: &str = "5";

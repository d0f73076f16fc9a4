//! How the house is shared: its policy, and what people do with what is theirs and with the devices.
//!
//! `policy` is what is in force; `shares` makes turns and quotas of it for a pass of the scheduler; `pause`, `requeue` and
//! `priority` change what people want of their jobs, and `limited` says how long these may train; `withhold` holds and drains
//! workers; `outlook` says when who waits will start, and `why` tells that.

pub(crate) mod chosen;
pub(crate) mod limited;
pub(crate) mod outlook;
pub(crate) mod pause;
pub(crate) mod policy;
pub(crate) mod priority;
pub(crate) mod requeue;
pub(crate) mod shares;
pub(crate) mod stopping;
pub(crate) mod why;
pub(crate) mod withhold;

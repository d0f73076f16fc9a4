//! What of the past is kept, and what goes.
//!
//! [`labels`] puts tags and notes on things, [`archive`] takes experiments out of the lists. [`take_back`] is what deleting is, for a
//! person ([`delete`]) and for the policy ([`clean`], which also thins curves and removes checkpoints); [`remove`] takes away from the
//! store what these have decided, and [`task`] does both while this coordinator leads. [`quota`] says whether somebody may store more.

pub(crate) mod archive;
pub(crate) mod clean;
pub(crate) mod delete;
pub(crate) mod labels;
pub(crate) mod quota;
pub(crate) mod remove;
pub(crate) mod take_back;
pub(crate) mod task;

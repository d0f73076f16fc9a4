//! A week of a box that several people share: the same jobs under a policy and under plain first in, first out.
//!
//! No faults here and no processes: only who starts when, by the decisions of `domain::place`, with estimates that are
//! wrong. [`load`] draws what people submit, [`run`](mod@run) plays it, [`figures`] says how fair it was.

mod figures;
mod load;
mod run;

pub use figures::{Figures, max_min};
pub use load::{Coming, Load, PEOPLE, draw};
pub use run::{Rule, run_week};

/// A week, in seconds.
pub const WEEK: f64 = 7.0 * 86_400.0;

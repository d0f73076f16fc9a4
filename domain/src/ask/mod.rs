//! Questions about jobs, in SQL's own words for conditions: `stage = 'linear' and label_fraction = 0.01 and age < '30d'`.
//!
//! ```text
//! text -> sqlparser -> `read` (names by `names`, literals by `literal`) -> [`Condition`], or a [`Fault`] with its place
//! ```
//!
//! What comes out is a tree of known names and typed values. No SQL of the asker's is in it: whoever asks a database writes
//! its own, with these values bound.

mod condition;
mod fault;
mod literal;
mod names;
mod read;
#[cfg(test)]
mod tests;

pub use condition::{Condition, Op, Value};
pub use fault::Fault;
pub use literal::moment;
pub use names::{Column, Curve, Kind, Known, Name, is_smaller_better, params};
pub use read::{condition, name};

/// The longest condition, in bytes.
pub const TEXT_BYTES_MAX: usize = 4000;
/// Comparisons in one condition.
pub const COMPARISONS_MAX: usize = 100;
/// Values behind one IN.
pub const LISTED_MAX: usize = 200;

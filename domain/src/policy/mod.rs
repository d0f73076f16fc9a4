//! How a house is shared: one policy, set by an admin and kept with all its versions.
//!
//! [`HousePolicy`] is what a policy file says, checked. [`limits`] says what a person may have of it, [`Retention`] what goes
//! with age.

mod changes;
mod file;
mod house;
pub mod limits;
mod retention;
pub mod span;
#[cfg(test)]
mod tests;

pub use changes::changes;
pub use house::{BYTES_MAX, FairShare, ForeignUse, HousePolicy, Order, PriorityBounds};
pub use limits::Limits;
pub use retention::Retention;

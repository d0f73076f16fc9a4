//! One script of operations and answers for the database that the coordinators share, which the simulator models and the
//! server's `store` is: whatever one of them answers otherwise is a drift between the copy and the original.
//!
//! It stands here and speaks the domain's words only, so that the server's tests can take it without a circle of crates and
//! the simulator needs no Postgres. [`operation`] has the words, [`store`] the traits, [`model`] the simulator's
//! implementation; the other one is in the server's tests. The scenarios follow, by subject.

mod fleet;
mod jobs;
mod leadership;
mod leases;
mod losses;
mod model;
mod model_answers;
pub mod operation;
mod play;
mod quarantine;
mod reports;
mod scenario;
mod stops;
mod store;

pub use crate::cause::cause;
pub use model::Model;
pub use play::{play, scenarios};
pub use scenario::Scenario;
pub use store::{Changes, Questions, Store};

//! A deterministic simulator: the decisions of `tandem-domain`, made by modelled coordinators, workers and ranks over a
//! modelled database and network, under random faults and a virtual clock.
//!
//! One seed is one run, event for event. The invariants ([`Violation`]) are checked after each event; versions of the
//! system with one rule left out ([`Broken`]) show that the checks can fail.

mod broken;
mod coordinator;
mod counts;
mod database;
mod dice;
mod event;
mod faults;
mod gang;
mod inject;
mod invariants;
mod plan;
mod rendezvous;
mod run;
mod stall;
mod steps;
mod worker;
mod world;

pub use broken::Broken;
pub use counts::Counts;
pub use invariants::ghost::Violation;
pub use run::{Found, Outcome, run, run_all};

//! A deterministic simulator: the decisions of `tandem-domain`, made by modelled coordinators, workers and ranks over a
//! modelled database and network, under random faults and a virtual clock.
//!
//! One seed is one run, event for event. The invariants ([`Violation`]) are checked after each event; versions of the
//! system with one rule left out ([`Broken`]) show that the checks can fail.
//!
//! In reading order: [`plan`] draws a cluster, its jobs and its faults from a seed; [`world`] is all that there is, and
//! [`event`] what can happen to it; [`database`], [`coordinator`], [`worker`] and [`gang`] (with [`rendezvous`], [`steps`] and
//! [`stall`]) act and leave [`artifacts`], and [`cause`] is what ranks say; [`faults`] and [`inject`] harm them;
//! [`invariants`] check; [`run`](mod@run) is the loop. [`conformance`] holds the modelled database to what the server's does.
//! [`week`] is another, smaller simulator, without faults: how fairly people share a box.

mod artifacts;
mod broken;
mod cause;
pub mod conformance;
mod coordinator;
mod counts;
mod database;
mod event;
mod faults;
mod gang;
mod inject;
mod invariants;
mod plan;
mod rendezvous;
mod rng;
mod run;
mod stall;
mod steps;
pub mod week;
mod worker;
mod world;

pub use broken::Broken;
pub use counts::Counts;
pub use invariants::ghost::Violation;
pub use run::{Found, Outcome, run, run_all};

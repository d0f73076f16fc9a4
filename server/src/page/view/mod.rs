//! What each page shows: it is read, put into words, and drawn by a template. Time is an argument.
//!
//! [`state`] has the words and shapes of states, [`expected`] when a waiting job begins and [`device_history`] the last hour of a
//! device. One file for each page makes a [`drawn`] one; [`draw()`] chooses.

mod attempts;
mod chart;
mod device_history;
mod devices;
mod draw;
mod drawn;
mod expected;
mod experiment;
mod experiments;
mod job;
mod people;
mod queue;
mod results;
mod state;

pub(super) use draw::{draw, rights};
pub(super) use drawn::Rights;

//! Which queued jobs start now, on which workers, and why the others wait.
//!
//! The rule is first in, first out among equal priorities, for each kind of device. A job belongs to the most preferred
//! kind of which the fleet has enough workers. While it waits for them, no job behind it takes workers of that kind,
//! however small it is; workers of other kinds stay free for other jobs. A job that is too large for every kind blocks
//! nobody: it waits with that reason until the fleet grows.
//!
//! [`place`] decides what starts, [`make_room`](mod@make_room) stops gangs of lower priority for the first in line, and [`grow`](mod@grow) stops
//! a gang so that it can start again with more workers.

mod gang;
mod grow;
mod make_room;
mod model;
mod reason;
mod start;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;

pub use grow::grow;
pub use make_room::{fingerprint, make_room};
pub use model::{Decision, FleetWorker, Placement, Policy, QueuedJob, RunningGang, Stop, Waiting, WorkerStatus};
pub use start::place;

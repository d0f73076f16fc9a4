//! Which queued jobs start now, on which workers, and why the others wait.
//!
//! The rule is first in, first out among equal priorities, for each kind of device. A job belongs to the most wanted kind
//! of which the fleet has enough; while it waits there, nothing that stands behind it takes workers of that kind, however
//! small it is. Workers of other kinds stay free for others. A job that no kind could ever hold blocks nobody: it waits
//! with that reason until the fleet grows.
//!
//! [`make_room`] stops gangs of lower priority for the first in line; [`grow`] lets a gang start anew with more workers.

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

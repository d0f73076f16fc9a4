//! Which queued jobs start now, on which workers, and why the others wait.
//!
//! The rule is first in, first out among equal priorities, for each kind of device. A job belongs to the most preferred
//! kind of which the fleet has enough workers. The first that has to wait for them has a reservation: the workers that it
//! will have, and the moment when the last of them is expected to be free. A job behind it starts if it is expected to
//! end before that moment, or takes none of those workers; without an estimate, nobody passes (EASY backfilling, as
//! Slurm has it). Workers of other kinds stay free for other jobs.
//!
//! Some jobs reserve nothing and block nobody: one that is too large for every kind, until the fleet grows; one that waits
//! after a lost attempt; and one whose input, images or spec no worker can read.
//!
//! [`place`] decides what starts, [`make_room`](mod@make_room) stops gangs of lower priority for the first in line, and [`grow`](mod@grow) stops
//! a gang so that it can start again with more workers.

#[cfg(test)]
mod backfill_tests;
mod gang;
mod grow;
mod make_room;
mod model;
mod needs;
mod reason;
mod reservation;
mod start;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;

pub use grow::grow;
pub use make_room::{fingerprint, make_room, soon_free};
pub use model::{
    Decision, FleetWorker, Placement, Policy, QueuedJob, RunningGang, Stop, Waiting, WorkerStatus, in_line,
};
pub use needs::{Needs, Offers};
pub use start::{largest_gang, place, too_large};

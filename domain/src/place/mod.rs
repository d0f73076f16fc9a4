//! Which queued jobs start now, on which workers, and why the others wait.
//!
//! Among equal priorities the people of a house take turns, who has used least first ([`take_turns`]), and each one's jobs
//! go first in, first out; for each kind of device. A job belongs to the most preferred
//! kind of which the fleet has enough workers. The first that has to wait for them has a reservation: the workers that it
//! will have, and the moment when the last of them is expected to be free. A job behind it starts if it is expected to
//! end before that moment, or takes none of those workers; without an estimate, nobody passes (EASY backfilling, as
//! Slurm has it). Workers of other kinds stay free for other jobs.
//!
//! Some jobs reserve nothing and block nobody: one that is too large for every kind, until the fleet grows; one that waits
//! after a lost attempt; one whose input, images or spec no worker can read; and one whose owner has what the policy allows
//! ([`Quotas`]).
//!
//! [`place`] decides what starts, [`make_room`](mod@make_room) stops gangs of lower priority for the first in line, and those that
//! passed it and have not ended when they were to; [`grow`](mod@grow) stops a gang so that it can start again with more workers, and
//! [`over_time`](mod@over_time) those whose time is over. [`forecast`](mod@forecast) says when who waits will start.

#[cfg(test)]
mod backfill_tests;
mod forecast;
#[cfg(test)]
mod forecast_tests;
mod gang;
mod grow;
mod habit;
mod make_room;
mod model;
mod needs;
mod over_time;
mod quotas;
mod reason;
mod reservation;
mod start;
#[cfg(test)]
mod stop_tests;
#[cfg(test)]
mod tests;
mod turns;
#[cfg(test)]
mod turns_tests;

pub use forecast::{Expected, Outlook, Start, forecast};
pub use grow::grow;
pub use habit::Habit;
pub use make_room::{fingerprint, make_room, soon_free};
pub use model::{
    Decision, FleetWorker, Passed, Placement, Policy, QueuedJob, RunningGang, Stop, Waiting, WorkerStatus, in_line,
};
pub use needs::{Needs, Offers};
pub use over_time::{OVER_TIME, end_with_time, over_time};
pub use quotas::{InUse, Quotas};
pub use start::{largest_gang, place, too_large};
pub use turns::take_turns;

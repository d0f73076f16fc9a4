//! Who calls, and whether they may: in front of every request, of gRPC and of pages.
//!
//! [`known`] is what is kept in memory of people and tokens, [`account`] the names of accounts of the box, [`this_box`] which box
//! that is, and [`rank`] whether a process is a rank's. [`open`] lists the requests under way, [`gate`] decides who calls and ends
//! what may not go on, [`throttle`] bounds wrong tries, [`used`] notes which tokens are, [`answer`] says what is refused, [`refusals`] brings them into the audit,
//! [`revocable`] ends one from outside. A browser has a [`cookie`], and without one is shown the [`entrance`]. [`guard()`] is the layer that joins them.

mod account;
mod answer;
pub(crate) mod cookie;
mod entrance;
mod gate;
mod guard;
mod known;
mod open;
mod outcome;
mod rank;
mod refusals;
mod revocable;
mod this_box;
mod throttle;
mod used;

pub(crate) use gate::Gate;
pub(crate) use guard::{Guard, guard, identity};
pub(crate) use open::Caller;
pub(crate) use this_box::holder;

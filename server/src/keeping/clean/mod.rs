//! Removes what the policy does not keep, step by step: each step is a bounded part of one kind of thing, and says where the next one
//! begins ([`cursor`]). Nothing is remembered between steps but that: one that broke off is done again.

mod checkpoints;
mod cursor;
mod experiments;
mod points;
mod round;
mod step;

pub(crate) use cursor::Cursor;
pub(crate) use round::Cleaned;
pub(crate) use step::{Step, step};

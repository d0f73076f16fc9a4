//! What is wrong with this machine, for Tandem, and what to do about it.
//!
//! A look takes facts ([`card`], [`probe`], [`postgres`], [`house`], [`room`], [`port`]) and judges them by pure functions: a
//! [`check::Check`] says what was looked at, what was found and what to do. [mod@bounded] ends each look in time: a driver that hangs is one
//! of the things that are looked for.

mod bounded;
mod card;
mod check;
mod driver;
mod house;
mod port;
mod postgres;
mod probe;
mod room;

pub(crate) use bounded::bounded;
pub(crate) use check::{Check, Grade};
pub(crate) use room::Folder;

/// All looks, each with its limit.
pub(crate) mod looks {
    pub(crate) use super::{
        driver::look as cards, house::look as house, house::slow as house_is_slow, port::look as port,
        postgres::look as postgres, probe::look as probe, room::look as room,
    };
}

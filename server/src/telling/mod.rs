//! Telling people what has happened. Only the leader does, in a task of its own: nobody who schedules waits for it.
//!
//! What happened is written with what happened (`store/happenings.rs`). [`gather`] makes messages of it, which [`compose`] puts
//! into words, and puts them into the outbox; [`task`] takes what is due out of there and has [`courier`] send it, by
//! [`webhook`], over a connection that [`dial`] makes, or by [`mail`]. [`options`] is what whoever starts the coordinator says of
//! that, and [`targets`] is what people ask for.

mod compose;
pub(crate) mod courier;
mod dial;
pub(crate) mod gather;
mod mail;
pub(crate) mod options;
pub(crate) mod targets;
pub(crate) mod task;
mod webhook;

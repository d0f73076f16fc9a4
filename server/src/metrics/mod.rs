//! `/metrics`, for Prometheus: what this coordinator counts ([`crate::meters`]), and what is in the database.
//!
//! [`gauges`] makes figures of what is stored and of what [`open`] finds, [`process`] of this process as the kernel sees it, and [`page`] prints it
//! all. Every coordinator shows the state of the whole cluster; what only one of them knows has no such name.

mod gauges;
pub(crate) mod open;
pub(crate) mod page;
mod process;

//! Receipts of results: what produced each, signed by the house's key.
//!
//! [`key`] keeps that key, in a file of the coordinators alone. [`make`] signs what is due, beside all other work, and
//! [`again`](mod@again) runs a job anew to see whether its bits come again, which [`make`] then says, and [`answer`](mod@answer) hands a
//! receipt out, with what the rows show otherwise by now.

mod again;
mod answer;
mod key;
mod make;

pub(crate) use again::{Again, again};
pub(crate) use answer::{Answer, answer};
pub use key::KeyFileError;
pub(crate) use key::{HouseKey, default_file};
pub(crate) use make::Receipts;

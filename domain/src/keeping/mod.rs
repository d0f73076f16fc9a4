//! What is kept, and what goes: decisions about the files, curves and experiments of the past.
//!
//! [`labels`] says which tags and notes may be put on something, [`figure`] which result a job is judged by, [`verdict`] what the
//! [`policy`](crate::policy) keeps, and [`thin`] which points of a curve.

pub mod figure;
pub mod labels;
pub mod thin;
pub mod verdict;

//! Who may do what: the roles, the form of a token, what a call is known by, and one table of rules for every method.
//!
//! [`role`] has the roles, [`name`] what a person may be called, [`token`] the secret that a person, a worker or a program that
//! reads metrics carries, [`session`] those of a browser; [`identity`] is who calls, [`judge`] decides by what is stored whether a token is good, and
//! [`permit`] by the table of [`rules`] which methods an identity may call, [`pages`] which pages, and [`urls`] what is offered by URL. Nothing here reads a clock, a file or a database.

pub mod identity;
pub mod judge;
pub mod name;
pub mod pages;
pub mod permit;
pub mod role;
pub mod rules;
pub mod session;
pub mod token;
pub mod urls;

pub use identity::{Denial, Identity};
pub use role::{PersonRole, TokenRole};

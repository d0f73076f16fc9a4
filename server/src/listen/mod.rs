//! The port and the socket: who may connect, how it is spoken, and how many connections there may be.
//!
//! [`peer`] is who is at the other end. [`places`] counts connections and [`burst`] keeps the log short; [`head`] knows how
//! clients begin and [`turn_away`] has words for those that speak the wrong thing. [`connection`] is one as it is served,
//! [`greet`] makes one of TLS, whose certificates [`tls`] has; [`socket`] is the file. [`incoming`] is all of them as one
//! stream, [`open`] makes that as the options say and [`serve()`] serves it. [`fallback`] answers what no service does.

mod burst;
mod connection;
mod fallback;
mod greet;
mod head;
mod incoming;
mod open;
pub(crate) mod peer;
mod places;
mod serve;
mod socket;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod turn_away;

pub(crate) use fallback::router;
pub use open::ListenError;
pub(crate) use open::{Listening, check_exposure};
pub(crate) use serve::serve;

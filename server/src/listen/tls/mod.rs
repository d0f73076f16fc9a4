//! What the port needs to speak TLS: certificates from the house's folder or from files, and the configuration.
//!
//! [`pair`] reads a certificate and its key, [`names`] says what it is for, [`authority`] makes it and [`check`] looks at it
//! as a client does; [`house`] keeps them in a folder. [`serving`] is what handshakes use, and looks for new files.

mod authority;
mod check;
mod error;
mod house;
mod names;
mod pair;
mod serving;
#[cfg(test)]
mod tests;

pub(crate) use error::TlsError;
pub(crate) use house::{fingerprint_in, issue};
pub(crate) use names::{Names, hostname};
pub(crate) use serving::Tls;

//! How a coordinator is reached, for the command line and the worker: over TLS with one pinned root, over plain http on
//! this machine alone, or by a Unix socket whose server the kernel vouches for.
//!
//! Reading order: [`address`] (where), [`fingerprint`] and [`house`] (whom to trust), [`look`] and [`pin`] (how that trust
//! begins), [`secret`] and [`join_file`] (what is kept of it), [`socket`] and [`dialer`] (a connection), [`words`] (why
//! there is none).

pub mod address;
pub mod dialer;
pub mod fingerprint;
pub mod house;
pub mod join_file;
pub mod look;
pub mod pin;
pub mod secret;
pub mod socket;
pub mod words;

#[cfg(test)]
mod test_house;

pub use address::Address;
pub use dialer::{Dialer, Tuning};
pub use fingerprint::Fingerprint;
pub use house::House;
pub use join_file::JoinFile;

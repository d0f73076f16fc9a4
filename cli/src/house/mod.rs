//! A house as a whole, for backups: where its database and its store are (`place`), where a new one comes to be (`staging`), and
//! the program that reads and writes both (`work`).

pub(crate) mod place;
pub(crate) mod staging;
pub(crate) mod work;

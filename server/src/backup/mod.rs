//! `tandem-server backup` and `restore`: a house into one file, and out of it.
//!
//! `take`: rows in one snapshot (`rows`), then the files that they name (`files`), while nobody removes any (`keeping`). `restore`: rows
//! into an empty database (`load`, fed by `unpack`), files into an empty folder, and then it becomes another house (`renew`). `command`
//! is what the two are started by, `say` what they tell meanwhile, `failed` why they did not.

pub(crate) mod command;
pub(crate) mod failed;
mod files;
mod keeping;
mod load;
mod renew;
pub(crate) mod restore;
mod rows;
pub(crate) mod say;
pub(crate) mod take;
mod unpack;
pub(crate) mod work;

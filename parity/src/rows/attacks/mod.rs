//! Rows 6 and 7: attacks beside those of others (`peers`), and on batches of any order and size (`alone`).

mod alone;
mod peers;
mod subject;

pub(crate) use alone::compare as alone;
pub(crate) use peers::compare;

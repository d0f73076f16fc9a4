//! Tables of what the coordinator answers, the same for the command line and by URL.

mod answers;
mod curves;

pub use answers::answers;
pub use curves::{Told, overview, points};

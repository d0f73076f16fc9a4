//! A device as it is: what a look at it said, who uses it, and whether it may be given out.
//!
//! [`reading`] has the figures of one look, and takes those that cannot be for not known; [`energy`] makes power of a counter. [`process`] says whose a process is,
//! [`throttle`] and [`xid`] put bits and numbers of the driver into words. [`watch`] follows a device from look to look and
//! decides: it is in foreign use, it is throttled, it is failing.

mod energy;
mod process;
mod reading;
mod throttle;
mod watch;
mod xid;

pub use energy::mean_watts;
pub use process::{Ancestor, PROCESSES_MAX, Process, TEXT_MAX, appeared, is_ours};
pub use reading::Reading;
pub use throttle::{is_by_hardware, known as known_throttle, words as throttle_words};
pub use watch::{Ailment, Bounds, Seen, Verdict, Watch};
pub use xid::of_hardware as xid_of_hardware;

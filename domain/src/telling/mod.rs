//! Telling people what has happened: which of it somebody wants told, where to, and when it is tried again.
//!
//! [`wants`] is what a person has chosen, [`address`] decides where a message may be sent, [`retry`] when it is tried again and
//! when no more, and [`words`] makes the text of it.

pub mod address;
pub mod retry;
pub mod wants;
pub mod words;

/// Events of workers that are told as "device lost": whoever appends one of these tells.
const OF_DEVICES: [&str; 4] = ["worker lost", "worker quarantined", "device lost", "device quarantined"];

/// Whether an event of this kind says that a device is not to be had any more.
pub fn is_of_device(kind: &str) -> bool {
    OF_DEVICES.contains(&kind)
}

/// Where one person's messages go to, at most: each is a row, and a message each time.
pub const TARGETS_OF_ONE: i64 = 10;
/// And of all people together.
pub const TARGETS_OF_ALL: i64 = 2000;
/// Messages that wait for one target; what comes beyond is not kept.
pub const PENDING_OF_ONE: i64 = 200;

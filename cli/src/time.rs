//! The clock, read at the edge, and wire timestamps.

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// None if absent or out of range.
pub(crate) fn utc(at: &Option<Timestamp>) -> Option<DateTime<Utc>> {
    let at = at.as_ref()?;
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

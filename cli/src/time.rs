//! The clock, read at the edge, and wire timestamps.

use chrono::{DateTime, Utc};
use tandem_proto::convert::{self, Timestamp};

pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// None if absent or no moment at all: a view shows what it can.
pub(crate) fn utc(at: &Option<Timestamp>) -> Option<DateTime<Utc>> {
    convert::optional_moment("at", *at).ok().flatten()
}

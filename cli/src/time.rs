//! The clock, and timestamps of the wire.

use chrono::{DateTime, Utc};
use tandem_proto::convert::{self, Timestamp};

pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// None if it is absent or invalid: a view then shows nothing.
pub(crate) fn utc(at: &Option<Timestamp>) -> Option<DateTime<Utc>> {
    convert::optional_moment("at", *at).ok().flatten()
}

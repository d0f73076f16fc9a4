//! `--since`: a moment, or so long ago.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::expiry;

/// A moment, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Ago(TimeDelta),
    At(DateTime<Utc>),
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Self::At(day.and_time(NaiveTime::MIN).and_utc()));
        }
        let seconds = expiry::parse(text).ok().and_then(|seconds| i64::try_from(seconds).ok());
        let ago = seconds.and_then(TimeDelta::try_seconds);
        ago.map(Self::Ago).ok_or_else(|| "expected 30m, 12h, 7d, 4w or a date, as 2026-11-01".to_owned())
    }
}

impl Since {
    pub(crate) fn moment(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Ago(span) => now.checked_sub_signed(span).unwrap_or(DateTime::UNIX_EPOCH),
            Self::At(moment) => moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_or_a_day() {
        let now: DateTime<Utc> = "2026-11-30T12:00:00Z".parse().unwrap();
        let moment = |text: &str| text.parse::<Since>().unwrap().moment(now).to_rfc3339();
        assert_eq!(moment("7d"), "2026-11-23T12:00:00+00:00");
        assert_eq!(moment("2026-11-01"), "2026-11-01T00:00:00+00:00");
        assert!("yesterday".parse::<Since>().unwrap_err().contains("as 2026-11-01"));
    }
}

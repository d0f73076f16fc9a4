//! The two clocks of a lease, and what it means when one of them runs out.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::timing::Timing;

/// What is stored of a rank's lease, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeaseStatus {
    /// Renewed while the worker reports the rank.
    pub expires_at: DateTime<Utc>,
    /// When the last heartbeat of its worker came.
    pub worker_seen_at: DateTime<Utc>,
    /// When the rank last made progress; `None` if its worker has not reported yet.
    pub progress_at: Option<DateTime<Utc>>,
    /// Its slowest piece of work so far; `None` before the first.
    pub slowest: Option<Duration>,
}

/// Why a lease has expired, although no end of the rank was reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expiry {
    /// The lease clock: the worker is silent.
    Silent { worker: Duration },
    /// The lease clock: the worker sends heartbeats but does not report the rank.
    NotReported,
    /// The progress clock: the worker reports the rank, but the rank makes no progress.
    NoProgress { since: Duration, slowest: Option<Duration> },
}

impl LeaseStatus {
    /// Whether the lease has expired at `now`, and why.
    pub fn expiry(&self, now: DateTime<Utc>, timing: &Timing) -> Option<Expiry> {
        if self.expires_at <= now {
            let worker = since(self.worker_seen_at, now);
            return Some(if worker >= timing.self_end { Expiry::Silent { worker } } else { Expiry::NotReported });
        }
        let idle = since(self.progress_at?, now);
        let over = idle >= timing.progress.scaled(self.slowest).takeover;
        over.then_some(Expiry::NoProgress { since: idle, slowest: self.slowest })
    }
}

fn since(moment: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - moment).to_std().unwrap_or_default()
}

impl std::fmt::Display for Expiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent { worker } => write!(f, "its worker sent no heartbeat for {:.1} s", worker.as_secs_f64()),
            Self::NotReported => f.write_str("its worker is there but does not run it"),
            Self::NoProgress { since, slowest: None } => write!(
                f,
                "its worker is there, but the rank did nothing for {:.0} s since it started, and could not be ended",
                since.as_secs_f64()
            ),
            Self::NoProgress { since, slowest: Some(slowest) } => write!(
                f,
                "its worker is there, but the rank made no progress for {:.0} s (its slowest unit of work so far took {:.1} s) \
                 and could not be ended",
                since.as_secs_f64(),
                slowest.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::timing::DEFAULT;

    #[test]
    fn each_clock_has_its_own_cause_and_text() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let status = LeaseStatus { expires_at: at(9), worker_seen_at: start, progress_at: Some(start), slowest: None };
        assert_eq!(status.expiry(at(8), &DEFAULT), None);
        let silent = status.expiry(at(9), &DEFAULT).unwrap();
        assert_eq!(silent.to_string(), "its worker sent no heartbeat for 9.0 s");
        let heard = LeaseStatus { worker_seen_at: at(8), ..status };
        assert_eq!(heard.expiry(at(9), &DEFAULT), Some(Expiry::NotReported));

        let renewed =
            LeaseStatus { expires_at: at(1000), worker_seen_at: at(991), slowest: Some(Duration::ZERO), ..status };
        assert_eq!(renewed.expiry(at(59), &DEFAULT), None);
        let stuck = renewed.expiry(at(60), &DEFAULT).unwrap();
        assert!(
            stuck.to_string().starts_with("its worker is there, but the rank made no progress for 60 s"),
            "{stuck}"
        );
        // A rank whose passes take a minute has ten times that, and one that still loads has its time too.
        assert_eq!(LeaseStatus { slowest: Some(Duration::from_secs(60)), ..renewed }.expiry(at(999), &DEFAULT), None);
        assert_eq!(LeaseStatus { slowest: None, ..renewed }.expiry(at(239), &DEFAULT), None);
        assert_eq!(LeaseStatus { progress_at: None, ..renewed }.expiry(at(999), &DEFAULT), None);
    }
}

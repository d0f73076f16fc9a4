//! Quarantine: a worker that loses one job after another is itself at fault, and gets no more jobs for a while.
//!
//! What became of a job elsewhere is the evidence: a job that is lost everywhere says nothing about this worker.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::state::RankOutcome;

/// So many different jobs must be lost ...
const JOBS: usize = 3;
/// ... within this time.
const WITHIN: TimeDelta = TimeDelta::hours(1);

/// A rank that was lost on a worker, or ended there for an unknown reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub job: Uuid,
    pub job_name: String,
    pub at: DateTime<Utc>,
    pub outcome: RankOutcome,
    pub cause: String,
    pub elsewhere: Elsewhere,
}

/// What became of the job on other workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// It has not come to anything there.
    Untried,
    /// It was lost there as well, about the same time.
    LostToo,
    /// It succeeded, or came at least to a checkpoint, after it was lost here.
    WentWell,
}

impl Loss {
    /// A loss counts unless the job is lost everywhere; an end of unknown cause only once the job went well elsewhere.
    fn counts(&self) -> bool {
        match self.outcome {
            RankOutcome::Lost => self.elsewhere != Elsewhere::LostToo,
            RankOutcome::Unknown => self.elsewhere == Elsewhere::WentWell,
            _ => false,
        }
    }
}

/// Why a worker is to be quarantined; `None` if it is not. `losses` are those since a rank last succeeded on it or
/// somebody released it, newest first.
///
/// Repeated losses of one job do not count, because the job may be at fault.
pub fn quarantine(now: DateTime<Utc>, losses: &[Loss]) -> Option<String> {
    let mut jobs: Vec<&Loss> = Vec::new();
    for loss in losses.iter().filter(|loss| loss.counts() && now - loss.at <= WITHIN) {
        if !jobs.iter().any(|seen| seen.job == loss.job) {
            jobs.push(loss);
        }
    }
    if jobs.len() < JOBS {
        return None;
    }
    let names: Vec<String> = jobs.iter().take(JOBS).map(|loss| format!("`{}`", loss.job_name)).collect();
    let last = jobs.first().map_or("", |loss| loss.cause.as_str());
    Some(format!(
        "{} different jobs were lost on it one after the other ({}), the last because: {last}",
        JOBS,
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(job: u128, minutes_ago: i64) -> Loss {
        let at = now() - TimeDelta::minutes(minutes_ago);
        let (job_name, cause) = (format!("job{job}"), format!("cause {job}"));
        Loss {
            job: Uuid::from_u128(job),
            job_name,
            at,
            outcome: RankOutcome::Lost,
            cause,
            elsewhere: Elsewhere::Untried,
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    #[test]
    fn three_different_jobs_within_the_hour() {
        let reason = quarantine(now(), &[loss(3, 1), loss(2, 2), loss(2, 3), loss(1, 50)]).unwrap();
        assert!(reason.contains("`job3`, `job2`, `job1`") && reason.ends_with("cause 3"), "{reason}");
        assert_eq!(quarantine(now(), &[loss(1, 1), loss(1, 2), loss(1, 3), loss(2, 4)]), None);
        assert_eq!(quarantine(now(), &[loss(3, 1), loss(2, 2), loss(1, 61)]), None);
    }

    #[test]
    fn a_job_that_is_lost_everywhere_says_nothing_about_a_worker() {
        let everywhere = |job| Loss { elsewhere: Elsewhere::LostToo, ..loss(job, 1) };
        assert_eq!(quarantine(now(), &[1, 2, 3, 4].map(everywhere)), None);
        assert!(quarantine(now(), &[everywhere(4), loss(3, 1), loss(2, 1), loss(1, 1)]).is_some());
    }

    #[test]
    fn an_end_of_unknown_cause_counts_once_the_job_went_well_elsewhere() {
        let unknown = |elsewhere| move |job| Loss { outcome: RankOutcome::Unknown, elsewhere, ..loss(job, 1) };
        assert_eq!(quarantine(now(), &[1, 2, 3].map(unknown(Elsewhere::Untried))), None);
        assert_eq!(quarantine(now(), &[1, 2, 3].map(unknown(Elsewhere::LostToo))), None);
        assert!(quarantine(now(), &[1, 2, 3].map(unknown(Elsewhere::WentWell))).is_some());
    }
}

//! Quarantine: a worker that loses one job after another is itself at fault, and gets no more jobs for a while.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// So many different jobs must be lost ...
const JOBS: usize = 3;
/// ... within this time.
const WITHIN: TimeDelta = TimeDelta::hours(1);

/// A rank that was lost on a worker, by that worker's own fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub job: Uuid,
    pub job_name: String,
    pub at: DateTime<Utc>,
    pub cause: String,
}

/// Why a worker is to be quarantined; `None` if it is not. `losses` are those since a rank last succeeded on it, newest
/// first.
///
/// Repeated losses of one job do not count, because the job may be at fault.
pub fn quarantine(now: DateTime<Utc>, losses: &[Loss]) -> Option<String> {
    let mut jobs: Vec<&Loss> = Vec::new();
    for loss in losses.iter().filter(|loss| now - loss.at <= WITHIN) {
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
        Loss { job: Uuid::from_u128(job), job_name: format!("job{job}"), at, cause: format!("cause {job}") }
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
}

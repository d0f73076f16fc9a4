//! What is said where there is no result yet, and of what there are curves.

use std::collections::{BTreeMap, BTreeSet};

use tandem_proto::v1::{Job, JobState};

use crate::render::state;

/// In this order.
const STATES: [JobState; 7] = [
    JobState::Running,
    JobState::Queued,
    JobState::Blocked,
    JobState::Paused,
    JobState::Succeeded,
    JobState::Failed,
    JobState::Cancelled,
];

/// `no results: 1 failed, 3 cancelled; see tandem show NAME`.
pub(super) fn said(jobs: &[Job], targets: &[String]) -> String {
    let mut counts: BTreeMap<JobState, usize> = BTreeMap::new();
    for job in jobs {
        *counts.entry(job.state()).or_default() += 1;
    }
    let counted = STATES.iter().filter_map(|of| Some(format!("{} {}", counts.get(of)?, state::job(*of))));
    let counted = counted.collect::<Vec<_>>().join(", ");
    let has_ended = jobs.iter().all(|job| state::has_ended(job.state()));
    match targets {
        _ if jobs.is_empty() => "no results yet".to_owned(),
        [target] => {
            let yet = if has_ended { "" } else { " yet" };
            format!("no results{yet}: {counted}; see tandem show {target}")
        }
        _ => format!("no results{}: {counted}; see tandem list", if has_ended { "" } else { " yet" }),
    }
}

/// `they have loss, lr` of jobs whose newest values are known.
pub(super) fn known(jobs: &[Job]) -> String {
    let progress = jobs.iter().filter_map(|job| job.progress.as_ref());
    let names: BTreeSet<&str> = progress.flat_map(|progress| &progress.metrics).map(|one| one.name.as_str()).collect();
    match names.len() {
        0 => "they have no curves yet".to_owned(),
        _ => format!("they have {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{Progress, Scalar};

    use super::*;

    #[test]
    fn why_there_is_nothing() {
        let job = |state: JobState| Job { state: state.into(), ..Job::default() };
        let jobs = [JobState::Cancelled, JobState::Failed, JobState::Cancelled].map(job);
        let targets = ["x".to_owned()];
        assert_eq!(said(&jobs, &targets), "no results: 1 failed, 2 cancelled; see tandem show x");
        let jobs = [JobState::Queued, JobState::Failed].map(job);
        assert_eq!(said(&jobs, &targets), "no results yet: 1 queued, 1 failed; see tandem show x");
        assert_eq!(said(&[], &[]), "no results yet");
    }

    #[test]
    fn the_names_that_there_are() {
        let metric = |name: &str| Scalar { name: name.to_owned(), value: 1.0 };
        let progress = Progress { metrics: vec![metric("lr"), metric("loss")], ..Progress::default() };
        let job = Job { progress: Some(progress), ..Job::default() };
        assert_eq!(known(&[job.clone(), job]), "they have loss, lr");
        assert_eq!(known(&[Job::default()]), "they have no curves yet");
    }
}

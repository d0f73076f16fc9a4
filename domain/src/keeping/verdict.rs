//! What the policy removes by age, and why the rest stays.

use std::{cmp::Ordering, time::Duration};

use chrono::{DateTime, Utc};

use crate::policy::Retention;

/// A job of an experiment, as far as it matters for its checkpoints and curves.
#[derive(Clone, Debug)]
pub struct JobFacts {
    pub stage: String,
    /// `None` while it may still run.
    pub ended: Option<DateTime<Utc>>,
    /// It has a tag, or an experiment that has it.
    pub is_tagged: bool,
    /// Something that has not ended starts from what it wrote.
    pub is_needed: bool,
    /// See [`figure`](super::figure).
    pub figure: Option<f64>,
}

/// Why something stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    Live,
    Needed,
    Tagged,
    Young,
    Best,
    Last,
}

impl Why {
    /// As in "3 jobs stay: ..".
    pub fn words(self) -> &'static str {
        match self {
            Self::Live => "not at an end",
            Self::Needed => "another job starts from it",
            Self::Tagged => "tagged",
            Self::Young => "younger than the policy removes",
            Self::Best => "among the best of its experiment",
            Self::Last => "among the last of its experiment",
        }
    }
}

/// Of each of an experiment's jobs, why what it wrote stays although the policy removes such things `after` the end of their job;
/// `None` where nothing speaks for it.
pub fn keeps(rules: &Retention, after: Duration, jobs: &[JobFacts], now: DateTime<Utc>) -> Vec<Option<Why>> {
    let last = ranks(jobs, |a, b| b.ended.cmp(&a.ended), |job| job.ended.is_some());
    let best = ranks(
        jobs,
        |a, b| match (a.figure, b.figure) {
            (Some(a), Some(b)) => b.total_cmp(&a),
            _ => Ordering::Equal,
        },
        |job| job.figure.is_some() && job.ended.is_some(),
    );
    let why = |(place, job): (usize, &JobFacts)| {
        let Some(ended) = job.ended else { return Some(Why::Live) };
        match () {
            () if job.is_needed => Some(Why::Needed),
            () if job.is_tagged => Some(Why::Tagged),
            () if !is_older(ended, rules.at_least(after), now) => Some(Why::Young),
            () if best[place].is_some_and(|rank| rank < rules.keep_best as usize) => Some(Why::Best),
            () if last[place].is_some_and(|rank| rank < rules.keep_last as usize) => Some(Why::Last),
            () => None,
        }
    };
    jobs.iter().enumerate().map(why).collect()
}

/// The place of each among those of its stage, from 0; of equals the one that is named first comes first.
fn ranks(
    jobs: &[JobFacts],
    order: impl Fn(&JobFacts, &JobFacts) -> Ordering,
    counts: impl Fn(&JobFacts) -> bool,
) -> Vec<Option<usize>> {
    let mut places: Vec<usize> = (0..jobs.len()).filter(|place| counts(&jobs[*place])).collect();
    places.sort_by(|a, b| jobs[*a].stage.cmp(&jobs[*b].stage).then_with(|| order(&jobs[*a], &jobs[*b])).then(a.cmp(b)));
    let mut ranks = vec![None; jobs.len()];
    let (mut stage, mut rank) = ("", 0);
    for place in places {
        if jobs[place].stage != stage {
            (stage, rank) = (&jobs[place].stage, 0);
        }
        ranks[place] = Some(rank);
        rank += 1;
    }
    ranks
}

/// An experiment, as far as it matters for its being archived or deleted.
#[derive(Clone, Copy, Debug)]
pub struct ExperimentFacts {
    /// When its last job ended, or it was submitted, if it has none; `None` while one may still run.
    pub ended: Option<DateTime<Utc>>,
    /// It has a tag, or one of its jobs.
    pub is_tagged: bool,
}

/// Why an experiment stays where it is although the policy archives or deletes such `after` their end.
pub fn keeps_experiment(rules: &Retention, after: Duration, facts: ExperimentFacts, now: DateTime<Utc>) -> Option<Why> {
    match facts.ended {
        None => Some(Why::Live),
        Some(_) if facts.is_tagged => Some(Why::Tagged),
        Some(ended) if !is_older(ended, rules.at_least(after), now) => Some(Why::Young),
        Some(_) => None,
    }
}

/// A clock that was put back makes nothing old.
fn is_older(ended: DateTime<Utc>, span: Duration, now: DateTime<Utc>) -> bool {
    (now - ended).to_std().is_ok_and(|age| age >= span)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn job(stage: &str, days: i64, figure: f64) -> JobFacts {
        JobFacts {
            stage: stage.to_owned(),
            ended: Some(now() - TimeDelta::days(days)),
            is_tagged: false,
            is_needed: false,
            figure: Some(figure),
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn rules(keep_best: u32, keep_last: u32) -> Retention {
        Retention { keep_best, keep_last, ..Retention::default() }
    }

    #[test]
    fn the_best_and_the_last_of_each_stage_stay() {
        let jobs = [
            job("linear", 40, 0.9),
            job("linear", 41, 0.95),
            job("linear", 50, 0.2),
            job("contrastive", 60, 0.1),
            JobFacts { figure: None, ..job("linear", 39, 0.0) },
        ];
        let kept = keeps(&rules(1, 1), 30 * DAY, &jobs, now());
        assert_eq!(kept, [None, Some(Why::Best), None, Some(Why::Best), Some(Why::Last)]);
        assert_eq!(keeps(&rules(0, 0), 30 * DAY, &jobs, now()), [None; 5]);
        let all = keeps(&rules(0, 4), 30 * DAY, &jobs, now());
        assert!(all.iter().all(|why| *why == Some(Why::Last)), "{all:?}");
    }

    #[test]
    fn what_runs_is_needed_is_tagged_or_young_stays_whatever_the_policy_says() {
        let old = job("linear", 40, 0.5);
        let jobs = [
            JobFacts { ended: None, ..old.clone() },
            JobFacts { is_needed: true, ..old.clone() },
            JobFacts { is_tagged: true, ..old.clone() },
            job("linear", 29, 0.5),
            job("linear", -3, 0.5),
            old,
        ];
        let expected =
            [Some(Why::Live), Some(Why::Needed), Some(Why::Tagged), Some(Why::Young), Some(Why::Young), None];
        assert_eq!(keeps(&rules(0, 0), 30 * DAY, &jobs, now()), expected);
        let younger = Retention { keep_younger: Some(45 * DAY), ..rules(0, 0) };
        assert_eq!(keeps(&younger, 30 * DAY, &jobs, now())[5], Some(Why::Young));
    }

    #[test]
    fn an_experiment_goes_as_a_whole_or_not() {
        let old = ExperimentFacts { ended: Some(now() - TimeDelta::days(40)), is_tagged: false };
        let judged = |facts| keeps_experiment(&rules(1, 1), 30 * DAY, facts, now());
        assert_eq!(judged(old), None);
        assert_eq!(judged(ExperimentFacts { ended: None, ..old }), Some(Why::Live));
        assert_eq!(judged(ExperimentFacts { is_tagged: true, ..old }), Some(Why::Tagged));
        assert_eq!(judged(ExperimentFacts { ended: Some(now()), ..old }), Some(Why::Young));
    }
}

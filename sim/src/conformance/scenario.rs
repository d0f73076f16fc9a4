//! A scenario, and the words that most of them share.

use std::time::Duration;

use super::operation::{Answer, Event, Holder, NewJob, Operation, Running, Worker};

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub workers: Vec<Worker>,
    pub jobs: Vec<NewJob>,
    pub steps: Vec<(Operation, Answer)>,
}

pub(super) const JOB: NewJob = NewJob { priority: 0, workers: (1, 1), inputs: &[], crashes: false };
pub(super) const PAIR: NewJob = NewJob { workers: (2, 2), ..JOB };

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// CPU workers of one host, each with its own device.
pub(super) fn workers(count: usize) -> Vec<Worker> {
    (0..count).map(|device| Worker { kind: "cpu", host: "ada", device }).collect()
}

/// Rank 0 of an attempt, on this worker.
pub(super) const fn first(worker: usize, attempt: usize) -> Holder {
    Holder { worker, attempt, rank: 0 }
}

/// A rank that a worker reports to run and that has just made progress.
pub(super) const fn runs(attempt: usize, rank: usize) -> Option<Running> {
    idles(attempt, rank, ms(0), None)
}

/// One that has made no progress for a while.
pub(super) const fn idles(attempt: usize, rank: usize, idle: Duration, slowest: Option<Duration>) -> Option<Running> {
    Some(Running { attempt, rank, idle, slowest })
}

pub(super) const STARTED: &[(u64, Event)] = &[(1, Event::Started)];
pub(super) const TRAINING: &[(u64, Event)] = &[(1, Event::Started), (2, Event::Training)];

/// Opens a stream of each worker, none of which runs anything; coordinator 0 leads.
pub(super) fn ready(count: usize) -> Vec<(Operation, Answer)> {
    let open = |worker| (Operation::Open { worker, runs: None }, Answer::Done);
    (0..count).map(open).chain([(Operation::Lead(0), Answer::Term(1))]).collect()
}

/// Submits a job, claims it for these workers and sends them their assignments.
pub(super) fn starts(job: &'static [usize], attempt: usize, workers: &'static [usize]) -> Vec<(Operation, Answer)> {
    let submitted = (Operation::Submit(job), Answer::Done);
    let dispatch = |rank| (Operation::Dispatch { attempt, rank }, Answer::Done);
    let claimed = (Operation::Claim { by: 0, job: job[0], workers }, Answer::Done);
    [submitted, claimed].into_iter().chain((0..workers.len()).map(dispatch)).collect()
}

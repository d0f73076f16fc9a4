//! Which evidence decides, and what is said about it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::*;
use crate::state::{
    AttemptState, JobState,
    RankOutcome::{self, *},
    RetryPolicy,
};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A rank of an attempt, on worker `gpu-N` with a device of its own.
fn rank(attempt: u128, outcome: RankOutcome, worker: u128, host: &str, cause: &str) -> LostRank {
    LostRank {
        attempt: Uuid::from_u128(attempt),
        at: now(),
        outcome,
        cause: cause.to_owned(),
        worker: Uuid::from_u128(worker),
        worker_name: format!("gpu-{worker}"),
        host: host.to_owned(),
        device: format!("GPU-{worker}"),
        others_go_well: false,
        is_recovered: false,
    }
}

fn well(rank: LostRank) -> LostRank {
    LostRank { others_go_well: true, ..rank }
}

fn after(ranks: Vec<LostRank>, workers_not_asked: usize) -> Next {
    job_after(
        now(),
        AttemptState::Lost,
        &Evidence { ranks, workers_not_asked, is_proof: false },
        &RetryPolicy::default(),
    )
}

#[test]
fn lost_attempts_are_retried_five_times_then_given_up() {
    let losses = |count| (1..=count).map(|attempt| rank(attempt, Lost, 1, "ada", "the disk is full")).collect();
    for count in 1..=5 {
        assert_eq!(after(losses(count), 1).state, JobState::Queued, "loss {count}");
    }
    assert_eq!(after(losses(3), 1).delay, Duration::from_secs(5));
    let last = after(losses(6), 1);
    assert_eq!((last.state, last.reason.as_str()), (JobState::Failed, "given up after 6 lost attempts (5 retries)"));
    // Of a job that came further in between, only what was lost since counts.
    let mut recovered: Vec<LostRank> = losses(6);
    recovered[..5].iter_mut().for_each(|rank| rank.is_recovered = true);
    assert_eq!(after(recovered, 1).reason, "attempt lost: retry 1 of 5, at once");
}

#[test]
fn failures_are_never_retried_and_preemption_never_counts() {
    let after = |state| job_after(now(), state, &Evidence::default(), &RetryPolicy::default()).state;
    assert_eq!(after(AttemptState::Failed), JobState::Failed);
    assert_eq!(after(AttemptState::Preempted), JobState::Queued);
}

#[test]
fn two_hosts_that_say_the_same_prove_the_job_at_fault() {
    let crash = |attempt, worker, host, step| {
        rank(attempt, Unknown, worker, host, &format!("libtorch: shape mismatch at step {step}"))
    };
    let first = after(vec![crash(1, 1, "ada", 7)], 1);
    assert_eq!(first.reason, "attempt lost: retry 1 of 5, at once, on another worker if there is one");
    let proved = after(vec![crash(1, 1, "ada", 7), crash(2, 2, "bob", 9)], 1);
    assert_eq!(proved.state, JobState::Failed);
    assert_eq!(
        proved.reason,
        "failed by its own fault: workers on two hosts say the same (gpu-1 on ada, gpu-2 on bob); it is not retried"
    );
    let other = rank(2, Unknown, 2, "bob", "libtorch: CUDA error: unspecified launch failure");
    assert_eq!(after(vec![crash(1, 1, "ada", 7), other], 1).state, JobState::Queued, "they say different things");
    let mut further = vec![crash(1, 1, "ada", 7), crash(2, 2, "bob", 9)];
    further[0].is_recovered = true;
    assert_eq!(after(further, 1).state, JobState::Queued, "it came further in between");
}

#[test]
fn two_devices_of_a_host_prove_it_only_while_other_jobs_go_well_on_them() {
    let crash = |attempt, worker| rank(attempt, Unknown, worker, "ada", "ended by signal 11 (SIGSEGV)");
    assert_eq!(after(vec![crash(1, 1), crash(2, 2)], 1).state, JobState::Queued);
    assert_eq!(after(vec![well(crash(1, 1)), well(crash(2, 1))], 1).state, JobState::Queued, "one device");
    let proved = after(vec![well(crash(1, 1)), well(crash(2, 2))], 1);
    assert_eq!(proved.state, JobState::Failed);
    assert!(proved.reason.contains("two devices of ada say the same, and other jobs go well on them"), "{proved:?}");
}

#[test]
fn ranks_of_one_gang_are_one_witness_and_a_kill_is_none() {
    let gang = |attempt| {
        [
            rank(attempt, Unknown, 1, "ada", "NCCL: internal error"),
            rank(attempt, Unknown, 2, "bob", "NCCL: internal error"),
        ]
    };
    assert_eq!(after(gang(1).into(), 1).state, JobState::Queued);
    assert_eq!(after([gang(1), gang(2)].concat(), 1).state, JobState::Queued, "each may have taken the other along");
    let killed = |attempt, worker, host| rank(attempt, Unknown, worker, host, "ended by signal 9 (SIGKILL)");
    assert_eq!(after(vec![killed(1, 1, "ada"), killed(2, 2, "bob")], 1).state, JobState::Queued);
}

#[test]
fn without_proof_the_retry_limit_decides_and_says_so() {
    let ranks = (1..=6).map(|attempt| rank(attempt, Unknown, 1, "ada", "it crashed")).collect();
    let last = after(ranks, 0);
    assert_eq!(last.state, JobState::Failed);
    assert_eq!(last.reason, "given up after 6 lost attempts (5 retries); nothing proves whose fault it was");
}

#[test]
fn a_missing_input_uses_up_no_retry_and_waits_only_when_every_worker_says_so() {
    let missing = |attempt, worker| rank(attempt, InputMissing, worker, "ada", "cannot read a.png");
    let next = after(vec![rank(1, Lost, 3, "ada", "gone"), missing(2, 1)], 1);
    assert_eq!((next.state, next.delay), (JobState::Queued, Duration::ZERO));
    assert_eq!(
        next.reason,
        "its files cannot be read on gpu-1: cannot read a.png; is tried on other workers, and uses up no retry"
    );
    let again = after(vec![missing(1, 1), rank(2, Lost, 3, "ada", "gone")], 1);
    assert_eq!(again.reason, "attempt lost: retry 1 of 5, at once", "the first attempt does not count");

    let everywhere = after(vec![missing(1, 1), missing(2, 2)], 0);
    assert_eq!((everywhere.state, everywhere.delay), (JobState::Queued, Duration::from_secs(60)));
    assert!(everywhere.reason.starts_with("its files cannot be read on gpu-1, gpu-2: cannot read a.png"));
}

#[test]
fn an_input_that_stays_missing_fails_the_job_after_an_hour_or_twenty_attempts() {
    let missing = |attempt, minutes| {
        let at = now() - TimeDelta::minutes(minutes);
        LostRank { at, ..rank(attempt, InputMissing, 1, "ada", "cannot read a.png") }
    };
    let next = after(vec![missing(1, 61), missing(2, 0)], 0);
    assert_eq!(next.state, JobState::Failed);
    assert!(next.reason.ends_with("given up after 2 attempts in 61 min"), "{}", next.reason);
    assert_eq!(after(vec![missing(1, 61), missing(2, 0)], 1).state, JobState::Queued, "one was never asked");
    assert_eq!(after((1..=20).map(|attempt| missing(attempt, 0)).collect(), 1).state, JobState::Failed);
}

#[test]
fn a_proof_fails_as_soon_as_no_worker_can_read_what_it_is_of() {
    let ranks = vec![rank(1, InputMissing, 1, "ada", "the encoder has sha256 d001.., not 4ca8..")];
    let after = |workers_not_asked| {
        let evidence = Evidence { ranks: ranks.clone(), workers_not_asked, is_proof: true };
        job_after(now(), AttemptState::Lost, &evidence, &RetryPolicy::default())
    };
    assert_eq!(after(1).state, JobState::Queued, "another one is asked");
    let next = after(0);
    assert_eq!(next.state, JobState::Failed);
    assert!(next.reason.contains("on gpu-1: the encoder has sha256 d001.."), "{}", next.reason);
}

#[test]
fn a_worker_is_asked_for_a_missing_input_less_and_less_often() {
    let said = |count: u128| {
        let ranks: Vec<_> = (0..count).map(|attempt| rank(attempt, InputMissing, 1, "ada", "no file")).collect();
        (missing_inputs(&ranks)[0].until - now()).num_seconds()
    };
    assert_eq!([1, 2, 3, 9].map(said), [60, 300, 900, 900]);
}

#[test]
fn workers_at_fault_are_avoided_for_a_while_and_unknown_ones_until_the_job_came_further() {
    let old = LostRank { at: now() - TimeDelta::minutes(2), ..rank(1, Lost, 1, "ada", "") };
    let unknown = LostRank { at: now() - TimeDelta::minutes(2), ..rank(2, Unknown, 2, "ada", "") };
    let ranks = [old, unknown.clone(), rank(3, Lost, 3, "ada", ""), rank(3, PeerLost, 4, "ada", "")];
    assert_eq!(avoided(now(), &ranks), [2, 3].map(Uuid::from_u128));
    assert_eq!(avoided(now(), &[LostRank { is_recovered: true, ..unknown }]), [] as [Uuid; 0]);
}

#[test]
fn a_job_leaves_its_kind_of_device_after_two_losses_in_a_row() {
    let lost = |attempt| rank(attempt, Lost, 1, "ada", "the card is gone");
    assert!(!any_kind(&[]) && !any_kind(&[lost(1), lost(1)]), "two ranks of one attempt are one loss");
    assert!(any_kind(&[lost(1), rank(2, Unknown, 1, "ada", "killed")]));
    assert!(!any_kind(&[LostRank { is_recovered: true, ..lost(1) }, lost(2)]), "it came further in between");
    assert!(!any_kind(&[rank(1, PeerLost, 1, "ada", ""), rank(2, InputMissing, 1, "ada", "")]));
}

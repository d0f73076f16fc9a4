//! Ten thousand fault sequences hold, each rule that is left out is noticed, and a seed is one run.

use std::ops::Range;

use tandem_sim::{Broken, run, run_all};

#[test]
fn ten_thousand_fault_sequences_hold() {
    let (counts, found) = run_all(0..10_000, None);
    assert_eq!(found, None, "`tandem-sim --seed SEED --trace` tells what happened");
    // The invariants prove little unless the runs see many faults.
    assert_eq!(counts.sequences, 10_000);
    assert!(counts.faults.len() >= 20 && counts.faults.values().all(|count| *count > 3_000), "{counts}");
    assert!(counts.succeeded > counts.jobs / 2 && counts.losses > 10_000 && counts.takeovers > 1_000, "{counts}");
    assert!(counts.preemptions > 500 && counts.growths > 150 && counts.self_ends > 5_000, "{counts}");
}

/// A rule that is left out, the invariant that notices, and the seeds among which one violates it.
const CAUGHT: [(Broken, &str, Range<u64>); 31] = [
    (Broken::NoFence, "completion_once", 0..300),
    (Broken::NoSelfEnd, "dead_before_takeover", 0..300),
    (Broken::ShortLease, "dead_before_takeover", 0..300),
    (Broken::NoUniqueLease, "one_gang_per_device", 0..300),
    (Broken::NoTermCheck, "one_leader", 0..300),
    (Broken::NoSequence, "completion_once", 0..300),
    (Broken::Overtaking, "fifo", 0..300),
    (Broken::ResumeUncommitted, "completion_once", 0..300),
    (Broken::PruneCommitted, "committed_is_durable", 0..300),
    (Broken::PruneLater, "committed_is_durable", 0..1000),
    (Broken::NoVerify, "bits", 0..300),
    (Broken::LostRequeue, "every_job_ends", 0..300),
    (Broken::EndlessPreemption, "no_needless_stop", 0..300),
    (Broken::GrowBlindly, "no_needless_stop", 0..1000),
    (Broken::DeafStreams, "counted_on_is_written", 0..300),
    (Broken::AckUnwritten, "counted_on_is_written", 0..300),
    (Broken::NoRenewalAtOpen, "counted_on_is_written", 0..300),
    (Broken::LateRegistration, "counted_on_is_written", 0..300),
    (Broken::NoGraceAfterOutage, "nothing_stops", 0..1000),
    (Broken::UnknownIsTheJobs, "every_job_ends", 0..1000),
    (Broken::MissingInputCounts, "every_job_ends", 0..3000),
    (Broken::QuarantineBlindly, "blame_by_evidence", 0..3000),
    (Broken::ReleaseForgetsNothing, "blame_by_evidence", 0..3000),
    (Broken::BackoffHoldsLine, "fifo", 0..300),
    (Broken::BackfillBlindly, "fifo", 0..300),
    (Broken::TwoPerDevice, "every_job_ends", 0..3000),
    (Broken::OneWindow, "every_job_ends", 0..1000),
    (Broken::NoReadBack, "succeeded_is_whole", 0..300),
    (Broken::HastyBlame, "blame_by_evidence", 0..300),
    (Broken::EndlessWait, "nothing_stops", 0..1000),
    // A report must come between its attempt's end and the instruction to stop.
    (Broken::AckOver, "committed_is_durable", 0..3000),
];

#[test]
fn every_rule_that_is_left_out_is_noticed() {
    for (broken, invariant, seeds) in CAUGHT {
        let (_, found) = run_all(seeds.clone(), Some(broken));
        let Some(found) = found else { panic!("the seeds {seeds:?} do not notice {broken:?}") };
        assert_eq!(found.violation.invariant, invariant, "{broken:?}: {found:?}");
        assert_eq!(run(found.seed, None, false).violation, None, "{broken:?}: with the rule, it holds");
    }
}

#[test]
fn a_seed_is_one_run_byte_for_byte() {
    for seed in 0..40 {
        let first = run(seed, None, true);
        assert!(first.trace.lines().count() > 20, "{}", first.trace);
        assert_eq!(first, run(seed, None, true));
        // Keeping the trace changes nothing.
        assert_eq!(first.counts, run(seed, None, false).counts);
    }
    let found = run_all(0..300, Some(Broken::NoFence)).1.unwrap();
    let replayed = run(found.seed, Some(Broken::NoFence), true);
    assert_eq!(replayed.violation, Some(found.violation));
}

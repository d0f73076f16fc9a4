//! When a fault counts as noticed, and when as recovered from. Pure: what the database says goes in.

use crate::{
    fault::{FaultKind, Notice},
    plan::Stage,
    queries::JobStatus,
};

/// The cluster just before a fault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateBefore {
    /// By the database's clock.
    pub(crate) at: f64,
    pub(crate) job: JobStatus,
    pub(crate) last_event: i64,
    pub(crate) term: i64,
}

impl JobStatus {
    /// Fence and step of the newest committed step. An attack writes a checkpoint only every 20 s, so there it is the
    /// newest point of its curve, which is committed as well.
    pub(crate) fn committed(&self) -> Option<(i64, i64)> {
        match Stage::of_job(&self.name) {
            Stage::Attack => self.metric_fence.zip(self.metric_step),
            _ => self.checkpoint_fence.zip(self.checkpoint_step),
        }
    }

    /// Whether its attempt trains and has committed a step.
    pub(crate) fn is_under_way(&self) -> bool {
        self.live_state == "training" && self.committed().map(|(fence, _)| fence) == self.live_fence
    }
}

/// Whether the job has committed a step that it had not committed before the fault.
pub(crate) fn has_recovered(kind: FaultKind, before: &JobStatus, now: &JobStatus) -> bool {
    if now.state == "succeeded" {
        return true;
    }
    let old_fence = before.live_fence;
    // A step that the old attempt had sent before it ended is no recovery.
    let must_be_new = kind.ends_the_attempt() || now.live_fence != old_fence;
    match now.committed() {
        None => false,
        Some((fence, _)) if must_be_new => Some(fence) > old_fence,
        committed => committed > before.committed(),
    }
}

/// Time and description of the first event after the fault that shows that it was noticed.
pub(crate) fn first_notice(events: &[(f64, String, String)]) -> Option<(f64, String)> {
    let is_notice = |kind: &str, message: &str| match kind {
        "rank ended" => !message.ends_with(": finished"),
        "attempt ended" => !message.ends_with(" succeeded"),
        "requeued" | "worker lost" | "worker left" | "worker drains" => true,
        _ => false,
    };
    let first = events.iter().find(|(_, kind, message)| is_notice(kind, message))?;
    Some((first.0, format!("{}: {}", first.1, first.2)))
}

/// Whether the fault took the lead from a coordinator and another leads now.
pub(crate) fn has_new_leader(kind: FaultKind, before: i64, term: i64) -> bool {
    kind.notice() == Notice::Leader && term > before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(live: i64, checkpoint: (i64, i64)) -> JobStatus {
        JobStatus {
            name: "encoder".to_owned(),
            state: "running".to_owned(),
            live_fence: Some(live),
            live_state: "training".to_owned(),
            checkpoint_fence: Some(checkpoint.0),
            checkpoint_step: Some(checkpoint.1),
            metric_fence: Some(checkpoint.0),
            metric_step: Some(checkpoint.1 + 3),
            ..JobStatus::default()
        }
    }

    #[test]
    fn what_a_killed_attempt_had_sent_is_no_recovery() {
        let before = job(5, (5, 100));
        assert!(!has_recovered(FaultKind::KillWorker, &before, &job(5, (5, 110))));
        assert!(!has_recovered(FaultKind::KillWorker, &before, &job(6, (5, 110))));
        assert!(has_recovered(FaultKind::KillWorker, &before, &job(6, (6, 110))));
        // An attempt that goes on has recovered with its next step; if it was lost, with that of the next attempt.
        assert!(!has_recovered(FaultKind::KillFollower, &before, &job(5, (5, 100))));
        assert!(has_recovered(FaultKind::KillFollower, &before, &job(5, (5, 110))));
        assert!(!has_recovered(FaultKind::KillFollower, &before, &job(6, (5, 110))));
        assert!(has_recovered(
            FaultKind::KillFollower,
            &before,
            &JobStatus { state: "succeeded".to_owned(), ..before.clone() }
        ));
    }

    #[test]
    fn an_attack_goes_by_its_curve() {
        let attack = JobStatus { name: "pgd".to_owned(), ..job(5, (5, 100)) };
        assert_eq!(attack.committed(), Some((5, 103)));
        assert!(attack.is_under_way() && !job(6, (5, 100)).is_under_way());
    }

    #[test]
    fn good_ends_are_no_notice() {
        let event = |at: f64, kind: &str, message: &str| (at, kind.to_owned(), message.to_owned());
        let good = [event(1.0, "rank ended", "rank 0 on left: finished"), event(2.0, "dispatched", "sent to left")];
        assert_eq!(first_notice(&good), None);
        let mut all = good.to_vec();
        all.push(event(3.0, "rank ended", "rank 1 on right: signal 9"));
        all.push(event(4.0, "requeued", "attempt lost"));
        assert_eq!(first_notice(&all).map(|(at, _)| at), Some(3.0));
    }
}

//! What counts as noticed and as recovered. Pure: what the database says goes in.

use crate::{
    db::JobNow,
    fault::{Kind, Notice},
    plan::Stage,
};

/// A moment before a fault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Before {
    /// By the database's clock.
    pub(crate) at: f64,
    pub(crate) job: JobNow,
    pub(crate) last_event: i64,
    pub(crate) term: i64,
}

impl JobNow {
    /// The newest committed step, and by which attempt. An attack keeps a checkpoint every 20 s only: there a point of
    /// its curve counts, which is committed as well.
    pub(crate) fn committed(&self) -> Option<(i64, i64)> {
        match Stage::of_job(&self.name) {
            Stage::Attack => self.metric_fence.zip(self.metric_step),
            _ => self.checkpoint_fence.zip(self.checkpoint_step),
        }
    }

    /// Its attempt trains, and has committed a step.
    pub(crate) fn is_under_way(&self) -> bool {
        self.live_state == "training" && self.committed().map(|(fence, _)| fence) == self.live_fence
    }
}

/// Whether the job has got further than before the fault.
pub(crate) fn goes_on(kind: Kind, before: &JobNow, now: &JobNow) -> bool {
    if now.state == "succeeded" {
        return true;
    }
    let was_under = before.live_fence;
    // What the old attempt had sent before it ended is no recovery.
    let must_be_new = kind.ends_the_attempt() || now.live_fence != was_under;
    match now.committed() {
        None => false,
        Some((fence, _)) if must_be_new => Some(fence) > was_under,
        committed => committed > before.committed(),
    }
}

/// When it was noticed, and by which words, by events after the fault.
pub(crate) fn noticed(events: &[(f64, String, String)]) -> Option<(f64, String)> {
    let tells = |kind: &str, message: &str| match kind {
        "rank ended" => !message.ends_with(": finished"),
        "attempt ended" => !message.ends_with(" succeeded"),
        "requeued" | "worker lost" | "worker left" | "worker drains" => true,
        _ => false,
    };
    let first = events.iter().find(|(_, kind, message)| tells(kind, message))?;
    Some((first.0, format!("{}: {}", first.1, first.2)))
}

/// Of a kind that ends with another term of the leadership.
pub(crate) fn led_again(kind: Kind, before: i64, term: i64) -> bool {
    kind.notice() == Notice::Leader && term > before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(live: i64, checkpoint: (i64, i64)) -> JobNow {
        JobNow {
            name: "encoder".to_owned(),
            state: "running".to_owned(),
            live_fence: Some(live),
            live_state: "training".to_owned(),
            checkpoint_fence: Some(checkpoint.0),
            checkpoint_step: Some(checkpoint.1),
            metric_fence: Some(checkpoint.0),
            metric_step: Some(checkpoint.1 + 3),
            ..JobNow::default()
        }
    }

    #[test]
    fn what_a_killed_attempt_had_sent_is_no_recovery() {
        let before = job(5, (5, 100));
        assert!(!goes_on(Kind::KillWorker, &before, &job(5, (5, 110))));
        assert!(!goes_on(Kind::KillWorker, &before, &job(6, (5, 110))));
        assert!(goes_on(Kind::KillWorker, &before, &job(6, (6, 110))));
        // An attempt that goes on recovers by its next step; if it was lost after all, by that of the next attempt.
        assert!(!goes_on(Kind::KillFollower, &before, &job(5, (5, 100))));
        assert!(goes_on(Kind::KillFollower, &before, &job(5, (5, 110))));
        assert!(!goes_on(Kind::KillFollower, &before, &job(6, (5, 110))));
        assert!(goes_on(Kind::KillFollower, &before, &JobNow { state: "succeeded".to_owned(), ..before.clone() }));
    }

    #[test]
    fn an_attack_goes_by_its_curve() {
        let attack = JobNow { name: "pgd".to_owned(), ..job(5, (5, 100)) };
        assert_eq!(attack.committed(), Some((5, 103)));
        assert!(attack.is_under_way() && !job(6, (5, 100)).is_under_way());
    }

    #[test]
    fn good_ends_are_no_notice() {
        let event = |at: f64, kind: &str, message: &str| (at, kind.to_owned(), message.to_owned());
        let good = [event(1.0, "rank ended", "rank 0 on left: finished"), event(2.0, "dispatched", "sent to left")];
        assert_eq!(noticed(&good), None);
        let mut all = good.to_vec();
        all.push(event(3.0, "rank ended", "rank 1 on right: signal 9"));
        all.push(event(4.0, "requeued", "attempt lost"));
        assert_eq!(noticed(&all).map(|(at, _)| at), Some(3.0));
    }
}

//! A state has a word and a shape beside its colour.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) word: String,
    pub(super) class: &'static str,
    pub(super) shape: &'static str,
}

fn state(word: &str, class: &'static str, shape: &'static str) -> State {
    State { word: word.to_owned(), class, shape }
}

/// Of a job or an attempt, by its label. One that this version does not know is shown as it is called.
pub(super) fn of_job(label: &str) -> State {
    match label {
        "blocked" => state("blocked", "waits", "◌"),
        "queued" => state("queued", "waits", "○"),
        "paused" => state("paused", "waits", "‖"),
        "running" | "training" => state(label, "runs", "▶"),
        "assigned" | "starting" | "verifying" => state(label, "runs", "▷"),
        "succeeded" => state("succeeded", "good", "✓"),
        "failed" | "lost" => state(label, "bad", "✕"),
        "cancelled" | "preempted" => state(label, "over", "–"),
        other => state(other, "over", "?"),
    }
}

pub(super) fn free() -> State {
    state("free", "good", "○")
}
pub(super) fn busy() -> State {
    state("busy", "runs", "▶")
}
pub(super) fn unfit() -> State {
    state("unfit", "bad", "✕")
}
pub(super) fn quarantined() -> State {
    state("quarantined", "bad", "▲")
}
pub(super) fn held() -> State {
    state("held", "waits", "◆")
}
pub(super) fn drained() -> State {
    state("drained", "waits", "◑")
}
pub(super) fn in_use() -> State {
    state("in use", "bad", "◇")
}
pub(super) fn draining() -> State {
    state("draining", "waits", "◐")
}
pub(super) fn lost() -> State {
    state("lost", "bad", "✕")
}

/// Of an experiment, by how many of its jobs are in which state.
pub(super) fn of_experiment(waiting: i64, running: i64, failed: i64, cancelled: i64) -> State {
    match () {
        () if running > 0 => of_job("running"),
        () if waiting > 0 => state("waiting", "waits", "○"),
        () if failed > 0 => of_job("failed"),
        () if cancelled > 0 => of_job("cancelled"),
        () => of_job("succeeded"),
    }
}

#[cfg(test)]
mod tests {
    use tandem_domain::state::{AttemptState, JobState};

    use super::*;

    #[test]
    fn every_state_has_a_shape_of_its_own() {
        let jobs: Vec<State> = JobState::ALL.iter().map(|state| of_job(state.label())).collect();
        for (index, one) in jobs.iter().enumerate() {
            assert_ne!(one.shape, "?", "{one:?}");
            assert!(jobs.iter().skip(index + 1).all(|other| other.shape != one.shape), "{one:?}");
        }
        for state in AttemptState::ALL {
            assert_ne!(of_job(state.label()).shape, "?", "{state:?}");
        }
        assert_eq!(of_job("sleeping").word, "sleeping");
    }

    #[test]
    fn what_runs_goes_before_what_waits_and_what_failed() {
        assert_eq!(of_experiment(3, 1, 1, 0).word, "running");
        assert_eq!(of_experiment(3, 0, 1, 0).word, "waiting");
        assert_eq!(of_experiment(0, 0, 1, 1).word, "failed");
        assert_eq!(of_experiment(0, 0, 0, 0).word, "succeeded");
    }
}

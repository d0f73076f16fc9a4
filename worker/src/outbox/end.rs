//! How the rank ended, once it has, and whether that was sent. Pure.

use tandem_proto::v1::RankOutcome;

use crate::verdict::Verdict;

#[derive(Default)]
pub(super) struct End {
    state: State,
    /// A result that the coordinator does not take, in words: then the job has not succeeded.
    missing_result: Option<String>,
}

#[derive(Default)]
enum State {
    /// The rank runs.
    #[default]
    Open,
    /// To be sent after the last event.
    Pending(Verdict),
    /// Sent on the present stream.
    Sent(Verdict),
}

impl End {
    pub(super) fn set(&mut self, verdict: Verdict) {
        let verdict = match &self.missing_result {
            Some(missing) if verdict.outcome == RankOutcome::Succeeded => Verdict::unknown(missing.clone()),
            _ => verdict,
        };
        self.state = State::Pending(verdict);
    }

    /// A result of the rank will never arrive.
    pub(super) fn spoil(&mut self, missing: &str) {
        self.missing_result.get_or_insert_with(|| missing.to_owned());
        if let Some(verdict) = self.verdict().cloned() {
            self.set(verdict);
        }
    }

    pub(super) fn verdict(&self) -> Option<&Verdict> {
        match &self.state {
            State::Open => None,
            State::Pending(verdict) | State::Sent(verdict) => Some(verdict),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending(_))
    }

    pub(super) fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent(_))
    }

    /// To be sent now.
    pub(super) fn take(&mut self) -> Option<Verdict> {
        let State::Pending(verdict) = &self.state else { return None };
        let verdict = verdict.clone();
        self.state = State::Sent(verdict.clone());
        Some(verdict)
    }

    /// A new stream.
    pub(super) fn send_again(&mut self) {
        if let State::Sent(verdict) = &self.state {
            self.state = State::Pending(verdict.clone());
        }
    }

    /// The verdict was refused: an older coordinator knows fewer outcomes.
    pub(super) fn refused(&mut self) {
        if let State::Sent(verdict) = &self.state {
            self.state = State::Sent(verdict.for_an_older_coordinator());
        }
    }
}

//! What a worker must be told next, from its lease and from what it was told. Pure.

use crate::{
    broken::no_fence,
    store::{duties::Duty, leases::Held},
};

/// One thing to tell, once on each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Assign,
    /// Where rank 0 listens.
    Meet,
    /// Finish the step, checkpoint, end.
    StopGently,
    /// End at once.
    Stop,
}

impl Duty {
    /// It is this what the worker says it runs.
    pub(crate) fn is(&self, held: &Held) -> bool {
        (self.worker, self.attempt, self.fence, self.rank) == (held.worker, held.attempt, held.fence, held.rank)
    }
}

/// In the order in which to tell them. `runs`: the worker says that it runs this rank.
pub(super) fn steps(duty: &Duty, runs: bool, told: impl Fn(Step) -> bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if duty.state.is_ended() {
        steps.push(Step::Stop);
    } else {
        // A rank that reported and is not run any more has ended: its worker will say how, or the lease runs out.
        if !runs && !duty.has_reported {
            steps.push(Step::Assign);
        }
        if duty.rank != 0 && duty.rendezvous.is_some() {
            steps.push(Step::Meet);
        }
        if duty.stop.is_some() {
            steps.push(Step::StopGently);
        }
    }
    steps.retain(|step| !told(*step));
    steps
}

/// What a worker runs without a lease for it.
pub(super) fn strays<'d, 'h>(
    duties: impl IntoIterator<Item = &'d Duty>,
    running: &'h [Held],
) -> impl Iterator<Item = &'h Held> {
    let duties: Vec<&Duty> = duties.into_iter().collect();
    running.iter().filter(move |held| !no_fence() && !duties.iter().any(|duty| duty.is(held)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_domain::state::AttemptState;
    use uuid::Uuid;

    use super::*;

    fn duty() -> Duty {
        Duty {
            worker: Uuid::from_u128(1),
            attempt: Uuid::from_u128(2),
            job: Uuid::from_u128(3),
            number: 1,
            fence: 12,
            rank: 1,
            world_size: 2,
            state: AttemptState::Assigned,
            cause: String::new(),
            rendezvous: None,
            has_reported: false,
            is_dispatched: false,
            stop: None,
        }
    }

    fn nothing(_: Step) -> bool {
        false
    }

    #[test]
    fn an_assignment_is_told_once_a_stream() {
        assert_eq!(steps(&duty(), false, nothing), [Step::Assign]);
        assert_eq!(steps(&duty(), false, |step| step == Step::Assign), []);
        // Told on an earlier stream, and it arrived.
        assert_eq!(steps(&duty(), true, nothing), []);
        // It ran and ended: to start it again would be to run it twice.
        assert_eq!(steps(&Duty { has_reported: true, ..duty() }, false, nothing), []);
    }

    #[test]
    fn others_are_told_where_rank_0_listens() {
        let listens = Duty { rendezvous: Some(("127.0.0.1".to_owned(), 4321)), ..duty() };
        assert_eq!(steps(&listens, false, nothing), [Step::Assign, Step::Meet]);
        assert_eq!(steps(&listens, true, nothing), [Step::Meet]);
        assert_eq!(steps(&Duty { rank: 0, ..listens }, true, nothing), []);
    }

    #[test]
    fn one_rank_that_stops_takes_the_others_along_and_an_end_ends_all() {
        let stopping = Duty { stop: Some("another rank stops".to_owned()), has_reported: true, ..duty() };
        assert_eq!(steps(&stopping, true, nothing), [Step::StopGently]);
        let over = Duty { state: AttemptState::Lost, ..stopping };
        assert_eq!(steps(&over, true, nothing), [Step::Stop]);
        assert_eq!(steps(&over, true, |step| step == Step::Stop), []);
    }

    #[test]
    fn a_rank_without_a_lease_is_a_stray() {
        let (worker, attempt) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let held = Held { worker, attempt, fence: 12, rank: 1, idle: Duration::ZERO, slowest: None };
        let older = Held { fence: 11, ..held.clone() };
        let running = [held, older.clone()];
        assert_eq!(strays(&[duty()], &running).collect::<Vec<_>>(), [&older]);
    }
}

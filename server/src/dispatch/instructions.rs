//! What a worker must be sent next, from its leases and from what was sent on its stream. Pure.

use crate::{
    broken::no_fence,
    store::{leases::ReportedRank, worker_leases::WorkerLease},
};

/// What a worker is to do about one attempt; sent once on each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Instruction {
    Assign,
    /// Where rank 0 listens.
    Rendezvous,
    /// Finish the step, write a checkpoint, end.
    StopGracefully,
    /// End at once.
    Stop,
}

impl WorkerLease {
    /// Whether the worker reports the rank that this lease is for.
    pub(crate) fn is_for(&self, rank: &ReportedRank) -> bool {
        (self.worker, self.attempt, self.fence, self.rank) == (rank.worker, rank.attempt, rank.fence, rank.rank)
    }
}

/// The instructions that are due, in the order in which to send them. `runs`: the worker reports that it runs the rank.
pub(super) fn due(lease: &WorkerLease, runs: bool, was_sent: impl Fn(Instruction) -> bool) -> Vec<Instruction> {
    let mut due = Vec::new();
    if lease.state.is_ended() {
        due.push(Instruction::Stop);
    } else {
        // A rank that reported and runs no more has ended: its worker will report how, or the lease runs out.
        if !runs && !lease.has_reported {
            due.push(Instruction::Assign);
        }
        if lease.rank != 0 && lease.rendezvous.is_some() {
            due.push(Instruction::Rendezvous);
        }
        if lease.stop.is_some() {
            due.push(Instruction::StopGracefully);
        }
    }
    due.retain(|instruction| !was_sent(*instruction));
    due
}

/// The ranks that a worker runs without a lease for them.
pub(super) fn unleased<'l, 'r>(
    leases: impl IntoIterator<Item = &'l WorkerLease>,
    running: &'r [ReportedRank],
) -> impl Iterator<Item = &'r ReportedRank> {
    let leases: Vec<&WorkerLease> = leases.into_iter().collect();
    running.iter().filter(move |rank| !no_fence() && !leases.iter().any(|lease| lease.is_for(rank)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_domain::state::AttemptState;
    use uuid::Uuid;

    use super::*;

    fn lease() -> WorkerLease {
        WorkerLease {
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

    fn nothing_sent(_: Instruction) -> bool {
        false
    }

    #[test]
    fn an_assignment_is_sent_once_a_stream() {
        assert_eq!(due(&lease(), false, nothing_sent), [Instruction::Assign]);
        assert_eq!(due(&lease(), false, |instruction| instruction == Instruction::Assign), []);
        // Sent on an earlier stream, and it arrived.
        assert_eq!(due(&lease(), true, nothing_sent), []);
        // The rank ran and ended: a second assignment would run it twice.
        assert_eq!(due(&WorkerLease { has_reported: true, ..lease() }, false, nothing_sent), []);
    }

    #[test]
    fn other_ranks_learn_where_rank_0_listens() {
        let listens = WorkerLease { rendezvous: Some(("127.0.0.1".to_owned(), 4321)), ..lease() };
        assert_eq!(due(&listens, false, nothing_sent), [Instruction::Assign, Instruction::Rendezvous]);
        assert_eq!(due(&listens, true, nothing_sent), [Instruction::Rendezvous]);
        assert_eq!(due(&WorkerLease { rank: 0, ..listens }, true, nothing_sent), []);
    }

    #[test]
    fn one_rank_that_stops_takes_the_others_along_and_an_end_ends_all() {
        let stopping = WorkerLease { stop: Some("another rank stops".to_owned()), has_reported: true, ..lease() };
        assert_eq!(due(&stopping, true, nothing_sent), [Instruction::StopGracefully]);
        let over = WorkerLease { state: AttemptState::Lost, ..stopping };
        assert_eq!(due(&over, true, nothing_sent), [Instruction::Stop]);
        assert_eq!(due(&over, true, |instruction| instruction == Instruction::Stop), []);
    }

    #[test]
    fn a_rank_without_a_lease_is_unleased() {
        let (worker, attempt) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let rank = ReportedRank { worker, attempt, fence: 12, rank: 1, idle: Duration::ZERO, slowest: None };
        let older = ReportedRank { fence: 11, ..rank.clone() };
        let running = [rank, older.clone()];
        assert_eq!(unleased(&[lease()], &running).collect::<Vec<_>>(), [&older]);
    }
}

//! No gang is stopped in vain: for an equal priority, for a job that then waits, or to grow without growing.

use tandem_domain::{state::JobState, timing};

use super::ghost::{Growth, Room};
use crate::{
    event::AttemptId,
    plan::{Ms, ms},
    world::World,
};

/// Longest time from the request to the start of the other job, beside the grace: a step, a checkpoint, scheduling.
const LONGEST: Ms = 10_000;

impl World {
    pub(super) fn stop_asked(&mut self, attempt: AttemptId, room_for: Option<usize>) {
        let row = &self.db.attempts[attempt];
        let changes = self.ghost.stops.decided_at;
        let Some(job) = room_for else {
            let (job, size, avoided) = (row.job, row.leases.len(), self.db.avoided(row.job));
            return self.ghost.stops.growths.push(Growth { job, size, changes, avoided });
        };
        let (wants, has) = (self.plan.jobs[job].priority, self.plan.jobs[row.job].priority);
        if wants <= has {
            let facts = format!("a{attempt} (priority {has}) is stopped for job{job} (priority {wants})");
            self.ghost.violated("no_needless_stop", self.now, facts);
        }
        // A job that waits for a moment may come first when that has come.
        let moves = |row: &crate::database::JobRow| row.state == Some(JobState::Queued) && row.not_before.is_some();
        if self.db.jobs.iter().any(moves) {
            return;
        }
        let until = self.now + ms(timing::STOP_GRACE) + LONGEST;
        self.ghost.stops.rooms.push(Room { job, victim: attempt, until, changes });
    }

    pub(super) fn check_stops(&mut self) {
        let now = self.now;
        let due = self.ghost.stops.rooms.first().is_some_and(|room| room.until <= now);
        if !due {
            return;
        }
        let Room { job, victim, changes, .. } = self.ghost.stops.rooms.remove(0);
        let waits = self.db.jobs[job].state == Some(JobState::Queued);
        // A hung gang stops late, when the progress clock ends it.
        let stands = |attempt: &AttemptId| {
            let gang = self.gangs.get(attempt);
            gang.is_some_and(|gang| gang.ranks.iter().any(|rank| rank.is_alive() && !rank.is_responsive()))
        };
        if waits && self.ghost.stops.changes == changes && !self.db.leased.iter().any(stands) {
            let facts = format!("a{victim} was stopped for job{job}, which still waits");
            self.ghost.violated("no_needless_stop", now, facts);
        }
    }

    /// A job was placed. If it was stopped to grow, it must have more workers now.
    pub(super) fn regrown(&mut self, attempt: AttemptId) {
        let row = &self.db.attempts[attempt];
        let (job, size) = (row.job, row.leases.len());
        self.ghost.stops.rooms.retain(|room| room.job != job);
        let avoided = self.db.avoided(job);
        let stops = &mut self.ghost.stops;
        let Some(place) = stops.growths.iter().position(|growth| growth.job == job) else { return };
        let growth = stops.growths.remove(place);
        if growth.changes == stops.changes && growth.avoided == avoided && size <= growth.size {
            let facts = format!("job{job} was stopped on {} workers to grow, and goes on with {size}", growth.size);
            self.ghost.violated("no_needless_stop", self.now, facts);
        }
    }
}

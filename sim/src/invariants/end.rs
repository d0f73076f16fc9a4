//! What must hold at the end, long after the last fault.

use std::collections::BTreeSet;

use tandem_domain::state::JobState;

use crate::world::World;

impl World {
    /// No lease is live, and every job has ended or is too large for the fleet of this run.
    pub(crate) fn is_done(&self) -> bool {
        self.is_quiet
            && self.db.leased.is_empty()
            && (0..self.plan.jobs.len()).all(|job| self.has_ended(job) || self.never_fits(job))
    }

    fn has_ended(&self, job: usize) -> bool {
        self.db.jobs[job].state.is_some_and(JobState::is_ended)
    }

    fn never_fits(&self, job: usize) -> bool {
        let plan = &self.plan.jobs[job];
        let room = |kind: &str| {
            let on = |host: &&str| {
                let is_here = |device: &&crate::plan::Device| {
                    device.kind == kind && (self.plan.across_hosts || device.host == *host)
                };
                let numbers: BTreeSet<usize> =
                    self.plan.devices.iter().filter(is_here).map(|device| device.number).collect();
                numbers.len()
            };
            ["ada", "bob"].iter().map(on).max().unwrap_or(0)
        };
        room("cpu").max(room("cuda")) < plan.need() || plan.inputs.iter().any(|&input| self.never_fits(input))
    }

    pub(crate) fn check_end(&mut self) {
        let waits: Vec<String> = (0..self.plan.jobs.len())
            .filter(|&job| !self.has_ended(job) && !self.never_fits(job))
            .map(|job| {
                let row = &self.db.jobs[job];
                format!("job{job} is {} ({})", row.state.map_or("not submitted", JobState::label), row.reason)
            })
            .collect();
        let held: Vec<String> =
            self.db.leased.iter().map(|attempt| format!("a{attempt} still holds workers")).collect();
        if !waits.is_empty() || !held.is_empty() {
            let facts = format!("long after the last fault: {}", [waits, held].concat().join(", "));
            self.ghost.violated("every_job_ends", self.now, facts);
        }
        self.check();
    }
}

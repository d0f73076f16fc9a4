//! A coordinator reads back what attempts left; a moment later it stores what follows.

use std::time::Duration;

use tandem_domain::{
    read_back::{Reading, Verified},
    timing,
};

use crate::{
    broken::Broken,
    event::{AttemptId, Process, ProcessEvent},
    plan::{Ms, ms},
    world::World,
};

/// While an attempt is read.
const NEVER: Ms = Ms::MAX;

impl World {
    pub(super) fn verify_at(&mut self, number: usize, at: Ms) {
        self.coordinators[number].next_verify = at;
        self.timer(at, Process::Coordinator(number), ProcessEvent::Verify);
    }

    pub(super) fn on_verify(&mut self, own: usize) {
        let began = self.now;
        self.verify_at(own, began + ms(timing::SCHEDULE_POLL));
        if !self.reaches_database(own) {
            return;
        }
        let verifying = self.db.verifying();
        self.coordinators[own].read_back.retain(|attempt, _| verifying.contains(attempt));
        for attempt in verifying {
            let (_, due) = self.coordinators[own].read_back.entry(attempt).or_default();
            if *due > began {
                continue;
            }
            *due = NEVER;
            let reading = self.read_artifact(own, attempt);
            let at = began + self.rng.between(1, ms(self.plan.timing.lease) / 20);
            self.timer(at, Process::Coordinator(own), ProcessEvent::ReadBack { attempt, began, reading });
        }
    }

    pub(super) fn on_read_back(&mut self, own: usize, attempt: AttemptId, began: Ms, reading: &Reading) {
        let is_up = self.reaches_database(own);
        let hasty = self.is_broken(Broken::HastyBlame);
        let now = self.now;
        let Some((tries, due)) = self.coordinators[own].read_back.get_mut(&attempt) else { return };
        if !is_up {
            *due = now + ms(timing::READ_BACK_AGAIN);
            return;
        }
        let damaged = match (tries.after(Duration::from_millis(began), reading), reading) {
            (Verified::NotYet { wait, .. }, _) if !hasty => {
                *due = now + ms(wait);
                return;
            }
            (Verified::Whole, _) => None,
            (_, Reading::Damaged { rank, .. }) => Some(*rank as usize),
            _ => Some(0),
        };
        self.coordinators[own].read_back.remove(&attempt);
        self.log(|| format!("c{own} has read back a{attempt}: {reading:?}"));
        self.db.settle_verified(attempt, damaged);
    }

    /// What a coordinator sees of an artifact.
    fn read_artifact(&mut self, own: usize, attempt: AttemptId) -> Reading {
        if self.now < self.coordinators[own].store_away_until {
            return Reading::Unreadable("no such folder".to_owned());
        }
        match self.db.artifact_of(attempt) {
            Some(reported) if !self.artifacts.is_shown_whole(attempt, self.now) => {
                Reading::Damaged { rank: reported.rank as u32, why: "it is not what was reported".to_owned() }
            }
            _ => {
                self.ghost.files.read(attempt);
                Reading::Whole
            }
        }
    }
}

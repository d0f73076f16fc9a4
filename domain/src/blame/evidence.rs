//! What is known of a job's lost attempts.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{state::RankOutcome, timing};

/// A rank of a lost attempt that ended as lost, unknown, with a missing input, or without its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct LostRank {
    pub attempt: Uuid,
    pub at: DateTime<Utc>,
    pub outcome: RankOutcome,
    /// In its own words.
    pub cause: String,
    pub worker: Uuid,
    pub worker_name: String,
    pub host: String,
    pub device: String,
    /// Ranks of other jobs succeeded on the same device within a day.
    pub others_go_well: bool,
    /// The job wrote a checkpoint in this attempt or since: it came further, so this counts no more.
    pub is_recovered: bool,
}

/// All that is to be known when an attempt of a job was lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// By attempt, the one that just ended last.
    pub ranks: Vec<LostRank>,
    /// Usable workers of the fleet that did not say that the job's input is missing.
    pub workers_not_asked: usize,
    /// It only runs another job anew, for somebody who wants to know what is there now.
    pub is_proof: bool,
}

impl Evidence {
    /// The ranks of the attempt that just ended.
    pub(super) fn newest(&self) -> Vec<&LostRank> {
        let newest = self.ranks.last().map(|rank| rank.attempt);
        self.ranks.iter().filter(|rank| Some(rank.attempt) == newest).collect()
    }

    /// Those that count: of the attempt that just ended, and of others since the last checkpoint.
    pub(super) fn counted(&self) -> impl Iterator<Item = &LostRank> {
        let newest = self.ranks.last().map(|rank| rank.attempt);
        self.ranks.iter().filter(move |rank| !rank.is_recovered || Some(rank.attempt) == newest)
    }

    /// The number of attempts that use up a retry, the one that just ended included: a missing input uses up none.
    pub(super) fn lost_attempts(&self) -> u32 {
        let missing: BTreeSet<Uuid> = self.missing().map(|rank| rank.attempt).collect();
        let lost: BTreeSet<Uuid> = self.counted().map(|rank| rank.attempt).filter(|id| !missing.contains(id)).collect();
        u32::try_from(lost.len()).unwrap_or(u32::MAX).max(1)
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = &LostRank> {
        self.counted().filter(|rank| rank.outcome == RankOutcome::InputMissing)
    }
}

/// Losses since the last checkpoint after which a job may leave its preferred kind of device: once is no pattern, and a CPU is no GPU.
const LEAVES_ITS_KIND: usize = 2;

/// Whether a job was lost so often that any kind of device will do.
pub fn any_kind(ranks: &[LostRank]) -> bool {
    let counts =
        |rank: &&LostRank| !rank.is_recovered && matches!(rank.outcome, RankOutcome::Lost | RankOutcome::Unknown);
    ranks.iter().filter(counts).map(|rank| rank.attempt).collect::<BTreeSet<Uuid>>().len() >= LEAVES_ITS_KIND
}

/// Workers that a job is given to only if there are not enough others: those at fault for a lost attempt a short while
/// ago, and those where it ended for an unknown reason, as another worker would be evidence.
pub fn avoided(now: DateTime<Utc>, ranks: &[LostRank]) -> Vec<Uuid> {
    let is_avoided = |rank: &&LostRank| match rank.outcome {
        RankOutcome::Lost => (now - rank.at).to_std().unwrap_or_default() < timing::AVOID,
        RankOutcome::Unknown => !rank.is_recovered,
        _ => false,
    };
    let workers: BTreeSet<Uuid> = ranks.iter().filter(is_avoided).map(|rank| rank.worker).collect();
    workers.into_iter().collect()
}

//! A job whose input cannot be read on some worker, or what it wrote there cannot: which workers it is not given to, and until when.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::evidence::LostRank;
use crate::state::RankOutcome;

/// How long a worker is not asked again after it said so once, twice, and more often.
const AGAIN: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)];

/// A worker that could not read the input of a job, or whose artifact could not be read back: the job is not given to it before `until`.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingInput {
    pub worker: Uuid,
    pub worker_name: String,
    pub cause: String,
    pub until: DateTime<Utc>,
}

/// The workers on which a job's files cannot be read; by name.
pub fn missing_inputs<'r>(ranks: impl IntoIterator<Item = &'r LostRank>) -> Vec<MissingInput> {
    let mut said: BTreeMap<(&str, Uuid), Vec<&LostRank>> = BTreeMap::new();
    for rank in ranks.into_iter().filter(|rank| rank.outcome == RankOutcome::InputMissing) {
        said.entry((&rank.worker_name, rank.worker)).or_default().push(rank);
    }
    let missing = said.into_iter().filter_map(|((worker_name, worker), ranks)| {
        let last = ranks.iter().max_by_key(|rank| rank.at)?;
        let wait = AGAIN[(ranks.len() - 1).min(AGAIN.len() - 1)];
        let until = last.at + TimeDelta::from_std(wait).unwrap_or_default();
        Some(MissingInput { worker, worker_name: worker_name.to_owned(), cause: last.cause.clone(), until })
    });
    missing.collect()
}

/// On which workers its files cannot be read, and the newest of their reasons.
pub(crate) fn unreadable(missing: &[MissingInput]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<&str> = missing.iter().take(NAMED).map(|worker| worker.worker_name.as_str()).collect();
    let more = format!("{} more", missing.len().saturating_sub(NAMED));
    if missing.len() > NAMED {
        names.push(&more);
    }
    let newest = missing.iter().max_by_key(|worker| worker.until).map_or("", |worker| worker.cause.as_str());
    format!("its files cannot be read on {}: {newest}", names.join(", "))
}

//! When what several workers say about a job is evidence against the job.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::evidence::{Evidence, LostRank};
use crate::state::RankOutcome;

/// The evidence that the job is at fault, in words: two attempts ended for the same reason on workers of two hosts, or
/// on two devices of a host on which other jobs go well.
///
/// One attempt is one witness, however many of its ranks say the same, because a rank may take its peers along.
pub(super) fn against_the_job(evidence: &Evidence) -> Option<String> {
    evidence.newest().into_iter().filter_map(essence).find_map(|said| {
        let mut witnesses: BTreeMap<Uuid, Vec<&LostRank>> = BTreeMap::new();
        for rank in evidence.counted().filter(|rank| essence(rank).as_ref() == Some(&said)) {
            witnesses.entry(rank.attempt).or_default().push(rank);
        }
        let newest = witnesses.remove(&evidence.ranks.last()?.attempt)?;
        witnesses.values().find_map(|earlier| agree(earlier, &newest))
    })
}

fn agree(earlier: &[&LostRank], newest: &[&LostRank]) -> Option<String> {
    let apart = |of: fn(&LostRank) -> &str| {
        let theirs: BTreeSet<&str> = earlier.iter().map(|rank| of(rank)).collect();
        newest.iter().all(|rank| !theirs.contains(of(rank)))
    };
    let (first, second) = (earlier.first()?, newest.first()?);
    if apart(|rank| &rank.host) {
        return Some(format!(
            "workers on two hosts say the same ({} on {}, {} on {})",
            first.worker_name, first.host, second.worker_name, second.host
        ));
    }
    let are_well = earlier.iter().chain(newest).all(|rank| rank.others_go_well);
    (apart(|rank| &rank.device) && are_well).then(|| {
        format!(
            "two devices of {} say the same, and other jobs go well on them ({}, {})",
            second.host, first.worker_name, second.worker_name
        )
    })
}

/// What a rank said, without what differs from one time to the next: numbers, addresses, paths with numbers. `None` for
/// a rank that says nothing about itself: it was killed from outside.
fn essence(rank: &LostRank) -> Option<String> {
    let line = rank.cause.lines().next().unwrap_or_default().trim();
    let is_killed = ["SIGKILL", "SIGTERM"].iter().any(|signal| line.contains(signal));
    if rank.outcome != RankOutcome::Unknown || line.is_empty() || is_killed {
        return None;
    }
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_whitespace() {
        let is_kind = matches!(words.last(), Some(&("signal" | "code")));
        let varies = word.chars().any(|letter| letter.is_ascii_digit()) && !is_kind;
        words.push(if varies { "#" } else { word });
    }
    Some(words.join(" "))
}

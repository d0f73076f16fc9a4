//! Fair share: in which order the people of a house have their turns.
//!
//! Each person has a line of its own for each priority. The next turn is that of who has used least, by its weight; a
//! job that gets its turn is counted as used at once, so that the lines take turns instead of one going first as a whole. What was used
//! long ago counts less: who asks for `used` says how much.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::model::QueuedJob;
use crate::policy::{FairShare, Order};

/// What a job counts whose time nobody knows.
const UNKNOWN: Duration = Duration::from_secs(600);

/// Numbers the jobs by the turns of their owners. `used` are seconds of devices, with what running jobs will still take.
pub fn take_turns(queue: &mut [QueuedJob], used: &BTreeMap<String, f64>, shares: &FairShare) {
    if shares.order == Order::FirstCome {
        return queue.iter_mut().for_each(|job| job.turn = 0);
    }
    // The last of each line is its first, so that it can be taken off.
    let mut lines: BTreeMap<(std::cmp::Reverse<i32>, String), Vec<usize>> = BTreeMap::new();
    let mut places: Vec<usize> = (0..queue.len()).collect();
    places.sort_by_key(|&at| std::cmp::Reverse((queue[at].queued_at, queue[at].position, queue[at].id)));
    for at in places {
        lines.entry((std::cmp::Reverse(queue[at].priority), queue[at].owner.clone())).or_default().push(at);
    }
    let mut counted = used.clone();
    let mut turn = 0;
    let mut lines = lines.into_iter().peekable();
    while let Some(((priority, who), line)) = lines.next() {
        let mut of_priority = vec![(who, line)];
        while let Some(((_, who), line)) = lines.next_if(|((other, _), _)| *other == priority) {
            of_priority.push((who, line));
        }
        turn = within_priority(queue, of_priority, &mut counted, shares, turn);
    }
}

fn within_priority(
    queue: &mut [QueuedJob],
    lines: Vec<(String, Vec<usize>)>,
    counted: &mut BTreeMap<String, f64>,
    shares: &FairShare,
    mut turn: u32,
) -> u32 {
    let mut next: BinaryHeap<Line> = BinaryHeap::new();
    for (who, line) in lines {
        let Some(&first) = line.last() else { continue };
        let score = counted.get(&who).copied().unwrap_or(0.0) / shares.weight(&who);
        next.push(Line { score, came: queue[first].queued_at, who, line });
    }
    while let Some(Line { score, who, mut line, .. }) = next.pop() {
        let Some(at) = line.pop() else { continue };
        queue[at].turn = turn;
        turn += 1;
        let seconds = device_seconds(&queue[at]);
        *counted.entry(who.clone()).or_default() += seconds;
        if let Some(&first) = line.last() {
            let score = score + seconds / shares.weight(&who);
            next.push(Line { score, came: queue[first].queued_at, who, line });
        }
    }
    turn
}

/// What a job takes on its smallest gang.
pub(super) fn device_seconds(job: &QueuedJob) -> f64 {
    let ranks = job.workers.world_sizes(job.shards).next().unwrap_or(job.workers.min);
    let time = job.takes_at_least().unwrap_or(UNKNOWN);
    time.as_secs_f64() * f64::from(ranks)
}

/// The jobs of one person, of one priority.
struct Line {
    score: f64,
    /// When the first of them came.
    came: DateTime<Utc>,
    who: String,
    line: Vec<usize>,
}

impl Ord for Line {
    /// The greatest is the next.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.score.total_cmp(&other.score);
        order.then(self.came.cmp(&other.came)).then_with(|| self.who.cmp(&other.who)).reverse()
    }
}

impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Line {}

//! Names with the attempt's fence in them, and which of them an attempt may remove.
//!
//! A rank that was thought dead (its worker was stopped for a minute) may wake up beside the attempt that took over. It
//! cannot know that it is stale, so nothing that it writes or removes may touch what is of a greater fence, nor what a row
//! of the coordinator points to: rows lag behind files while the coordinator is away.

use std::path::Path;

use crate::task::CheckpointRef;

/// Checkpoints kept of a job. Those before the newest are for the case that it is damaged.
const KEPT: usize = 3;

/// The step and the fence in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) step: u64,
    pub(crate) fence: i64,
}

impl Mark {
    /// `{prefix}00000120-f17{suffix}`
    pub(crate) fn name(self, prefix: &str, suffix: &str) -> String {
        format!("{prefix}{:08}-f{}{suffix}", self.step, self.fence)
    }

    /// Names of an earlier version have no fence: older than all.
    pub(crate) fn parse(name: &str, prefix: &str, suffix: &str) -> Option<Self> {
        let mark = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
        let (step, fence) = match mark.split_once("-f") {
            Some((step, fence)) => (step, fence.parse().ok()?),
            None => (mark, 0),
        };
        Some(Self { step: step.parse().ok()?, fence })
    }
}

/// What an attempt knows about who keeps which checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub(crate) fence: i64,
    /// Names that rows pointed to when the attempt began, from the one that it goes on from.
    pub(crate) known: Vec<String>,
    /// The newest of its own that a row points to; `None`: there are no rows, what is on disk counts.
    pub(crate) committed: Option<u64>,
}

impl Claim {
    /// Of an attempt that went on from `step`: newer ones are damaged, or it would have gone on from them.
    pub(crate) fn new(fence: i64, checkpoints: &[CheckpointRef], step: u64) -> Self {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let known = checkpoints.iter().filter(|known| known.step <= step).filter_map(|known| name(&known.path));
        Self { fence, known: known.collect(), committed: None }
    }

    /// As it is now: see [`crate::report::Report::committed`].
    pub(crate) fn with(&self, committed: Option<u64>) -> Self {
        Self { committed, ..self.clone() }
    }

    /// Names that may go, of those found beside the checkpoint of `step` that was just written: all of this attempt and of
    /// older ones but the newest three that are committed and the newest three of its own that are not yet.
    pub(crate) fn surplus(&self, step: u64, found: Vec<(Mark, String)>) -> Vec<String> {
        let own = |mark: &Mark| mark.fence == self.fence;
        let mut mine: Vec<_> = found.into_iter().filter(|(mark, _)| mark.fence <= self.fence).collect();
        mine.sort_by(|(a, _), (b, _)| b.cmp(a));
        let (mut committed, mut waiting) = (0, 0);
        mine.retain(|(mark, name)| {
            // Later ones are of a lost attempt that nobody went on from.
            let current = mark.step <= step;
            let kept = if current && self.is_committed(*mark, name) {
                &mut committed
            } else if current && own(mark) {
                &mut waiting
            } else {
                return true;
            };
            *kept += 1;
            *kept > KEPT
        });
        mine.into_iter().map(|(_, name)| name).collect()
    }

    fn is_committed(&self, mark: Mark, name: &str) -> bool {
        match self.committed {
            None => true,
            Some(newest) => {
                (mark.fence == self.fence && mark.step <= newest) || self.known.iter().any(|known| known == name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(marks: &[(u64, i64)]) -> Vec<(Mark, String)> {
        marks.iter().map(|&(step, fence)| (Mark { step, fence }, Mark { step, fence }.name("step-", ""))).collect()
    }

    fn surplus(claim: &Claim, step: u64, marks: &[(u64, i64)]) -> Vec<(u64, i64)> {
        let names = claim.surplus(step, found(marks));
        let mut marks: Vec<_> = names.iter().map(|name| Mark::parse(name, "step-", "").unwrap()).collect();
        marks.sort();
        marks.into_iter().map(|mark| (mark.step, mark.fence)).collect()
    }

    fn refs(marks: &[(u64, i64)]) -> Vec<CheckpointRef> {
        let path = |(step, fence)| Path::new("/elsewhere").join(Mark { step, fence }.name("step-", ""));
        let of = |&(step, fence): &(u64, i64)| CheckpointRef { step, path: path((step, fence)), sha256: String::new() };
        marks.iter().map(of).collect()
    }

    #[test]
    fn names_hold_step_and_fence() {
        let mark = Mark { step: 120, fence: 17 };
        assert_eq!(mark.name("step-", ""), "step-00000120-f17");
        assert_eq!(Mark::parse("step-00000120-f17", "step-", ""), Some(mark));
        assert_eq!(Mark::parse("step-00000120", "step-", ""), Some(Mark { step: 120, fence: 0 }));
        let attacked = Mark { step: 64, fence: 3 };
        assert_eq!(Mark::parse(&attacked.name("attacked-", ".x"), "attacked-", ".x"), Some(attacked));
        for foreign in ["step-", "step-1-f", "step-x-f1", "step-00000120-f17.bak", "steps"] {
            assert_eq!(Mark::parse(foreign, "step-", ""), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_of_a_greater_fence_is_nobody_elses() {
        for committed in [None, Some(0), Some(999)] {
            let stale = Claim { fence: 17, committed, ..Claim::default() };
            let gone =
                surplus(&stale, 140, &[(120, 18), (140, 18), (80, 17), (100, 17), (120, 17), (140, 17), (7, 16)]);
            assert!(gone.iter().all(|(_, fence)| *fence <= 17), "{gone:?}");
            assert!(gone.contains(&(80, 17)) && !gone.contains(&(140, 17)), "{gone:?}");
        }
    }

    #[test]
    fn without_rows_the_newest_three_on_disk_stay() {
        let alone = Claim { fence: 1, ..Claim::default() };
        assert_eq!(surplus(&alone, 10, &[(1, 1), (2, 1), (3, 1), (10, 1)]), [(1, 1)]);
        assert_eq!(surplus(&alone, 4, &[(3, 1), (8, 1), (9, 1), (4, 1)]), [(8, 1), (9, 1)], "of a lost attempt");
    }

    #[test]
    fn while_the_coordinator_is_away_what_its_rows_point_to_stays() {
        let claim = Claim::new(18, &refs(&[(120, 17), (100, 17), (80, 17)]), 120);
        let away = claim.with(Some(0));
        let disk = [(80, 17), (100, 17), (120, 17), (130, 17), (140, 18), (160, 18), (180, 18), (200, 18)];
        assert_eq!(surplus(&away, 200, &disk), [(130, 17), (140, 18)], "never committed, and the fourth of its own");
        let disk = [(80, 17), (100, 17), (120, 17), (180, 18), (200, 18)];
        assert_eq!(surplus(&claim.with(Some(200)), 200, &disk), [(80, 17), (100, 17)]);
        assert_eq!(surplus(&claim.with(Some(180)), 200, &disk), [(80, 17)]);
    }

    #[test]
    fn damaged_ones_do_not_stand_in_for_good_ones() {
        let claim = Claim::new(18, &refs(&[(120, 17), (100, 17), (80, 16)]), 80).with(Some(0));
        assert_eq!(surplus(&claim, 90, &[(80, 16), (100, 17), (120, 17), (90, 18)]), [(100, 17), (120, 17)]);
        // A committed one of a lower step than a damaged one of an older fence is the newest there is.
        let disk = [(80, 16), (100, 17), (90, 18), (110, 18)];
        assert_eq!(surplus(&claim.with(Some(90)), 110, &disk), [(100, 17)]);
    }
}

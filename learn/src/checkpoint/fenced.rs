//! Names with the attempt's fence in them, and which of them an attempt may remove.
//!
//! A rank that was thought dead (its worker was suspended for a minute) may wake up while the attempt that took over runs.
//! It cannot know that it is stale, so it must not write or remove anything that has a greater fence, nor anything that a
//! row of the coordinator points to: rows lag behind files while the coordinator is away.

use std::io;
use std::path::Path;

use crate::task::CheckpointRef;

/// Checkpoints kept of a job. The older ones are for the case that the newest is damaged.
const KEPT: usize = 3;

/// What stands before and after step and fence in a name.
pub(crate) type Affixes = (&'static str, &'static str);

/// How the checkpoints of one kind of stage are named and removed.
pub(crate) struct CheckpointKind {
    pub(crate) finished: Affixes,
    /// While it is being written.
    pub(crate) unfinished: Affixes,
    /// What a step is, for messages: "step" or "image".
    pub(crate) unit: &'static str,
    /// Removes one, a file or a folder.
    pub(crate) remove: fn(&Path) -> io::Result<()>,
}

/// The step and the fence in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CheckpointName {
    pub(super) step: u64,
    pub(super) fence: i64,
}

impl CheckpointName {
    /// `{prefix}00000120-f17{suffix}`
    pub(super) fn file_name(self, (prefix, suffix): Affixes) -> String {
        format!("{prefix}{:08}-f{}{suffix}", self.step, self.fence)
    }

    /// A name that an early version wrote has no fence: it is taken as 0, before all others.
    pub(super) fn parse(name: &str, (prefix, suffix): Affixes) -> Option<Self> {
        let name = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
        let (step, fence) = match name.split_once("-f") {
            Some((step, fence)) => (step, fence.parse().ok()?),
            None => (name, 0),
        };
        Some(Self { step: step.parse().ok()?, fence })
    }
}

/// Which checkpoints of a job an attempt may remove.
#[derive(Clone, Debug, Default)]
pub(crate) struct PruneScope {
    pub(super) fence: i64,
    /// Names that rows pointed to when the attempt began: that of the checkpoint it went on from, and older ones.
    known: Vec<String>,
    /// The newest step of this attempt that a row points to; `None`: there are no rows, and what is on disk counts.
    committed: Option<u64>,
}

impl PruneScope {
    /// Of an attempt that went on from `step`. Newer checkpoints are damaged, or it would have gone on from them.
    pub(crate) fn new(fence: i64, checkpoints: &[CheckpointRef], step: u64) -> Self {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let known = checkpoints.iter().filter(|known| known.step <= step).filter_map(|known| name(&known.path));
        Self { fence, known: known.collect(), committed: None }
    }

    /// The same with what is committed by now: see [`crate::report::Report::committed`].
    pub(crate) fn with_committed(&self, committed: Option<u64>) -> Self {
        Self { committed, ..self.clone() }
    }

    /// The names that may go of those `found` beside the checkpoint of `step` that was just written. Of this attempt and
    /// older ones all go, except the newest three that are committed and the newest three of this attempt that are not.
    pub(super) fn surplus(&self, step: u64, found: Vec<(CheckpointName, String)>) -> Vec<String> {
        let mut names: Vec<_> = found.into_iter().filter(|(name, _)| name.fence <= self.fence).collect();
        names.sort_by(|(a, _), (b, _)| b.cmp(a));
        let (mut committed, mut uncommitted) = (0, 0);
        names.retain(|(name, file_name)| {
            // A later step is of a lost attempt that nobody went on from.
            let current = name.step <= step;
            let kept = if current && self.is_committed(*name, file_name) {
                &mut committed
            } else if current && name.fence == self.fence {
                &mut uncommitted
            } else {
                return true;
            };
            *kept += 1;
            *kept > KEPT
        });
        names.into_iter().map(|(_, file_name)| file_name).collect()
    }

    fn is_committed(&self, name: CheckpointName, file_name: &str) -> bool {
        match self.committed {
            None => true,
            Some(newest) => {
                (name.fence == self.fence && name.step <= newest) || self.known.iter().any(|known| known == file_name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Affixes = ("step-", "");

    /// `(step, fence)`, as all of these tests write it.
    fn file_name(&(step, fence): &(u64, i64)) -> String {
        CheckpointName { step, fence }.file_name(STEP)
    }

    fn surplus(scope: &PruneScope, step: u64, found: &[(u64, i64)]) -> Vec<(u64, i64)> {
        let found = found.iter().map(|name| (CheckpointName { step: name.0, fence: name.1 }, file_name(name)));
        let surplus = scope.surplus(step, found.collect());
        let mut names: Vec<_> = surplus.iter().map(|name| CheckpointName::parse(name, STEP).unwrap()).collect();
        names.sort();
        names.into_iter().map(|name| (name.step, name.fence)).collect()
    }

    fn refs(names: &[(u64, i64)]) -> Vec<CheckpointRef> {
        let path = |name| Path::new("/elsewhere").join(file_name(name));
        names.iter().map(|name| CheckpointRef { step: name.0, path: path(name), sha256: String::new() }).collect()
    }

    #[test]
    fn names_hold_step_and_fence() {
        let name = CheckpointName { step: 120, fence: 17 };
        assert_eq!(name.file_name(STEP), "step-00000120-f17");
        assert_eq!(CheckpointName::parse("step-00000120-f17", STEP), Some(name));
        assert_eq!(CheckpointName::parse("step-00000120", STEP), Some(CheckpointName { step: 120, fence: 0 }));
        let with_suffix = ("attacked-", ".x");
        assert_eq!(CheckpointName::parse(&name.file_name(with_suffix), with_suffix), Some(name));
        for foreign in ["step-", "step-1-f", "step-x-f1", "step-00000120-f17.bak", "steps"] {
            assert_eq!(CheckpointName::parse(foreign, STEP), None, "{foreign}");
        }
    }

    #[test]
    fn nothing_of_a_greater_fence_is_removed() {
        for committed in [None, Some(0), Some(999)] {
            let stale = PruneScope { fence: 17, committed, ..PruneScope::default() };
            let gone =
                surplus(&stale, 140, &[(120, 18), (140, 18), (80, 17), (100, 17), (120, 17), (140, 17), (7, 16)]);
            assert!(gone.iter().all(|(_, fence)| *fence <= 17), "{gone:?}");
            assert!(gone.contains(&(80, 17)) && !gone.contains(&(140, 17)), "{gone:?}");
        }
    }

    #[test]
    fn without_rows_the_newest_three_on_disk_stay() {
        let alone = PruneScope { fence: 1, ..PruneScope::default() };
        assert_eq!(surplus(&alone, 10, &[(1, 1), (2, 1), (3, 1), (10, 1)]), [(1, 1)]);
        assert_eq!(surplus(&alone, 4, &[(3, 1), (8, 1), (9, 1), (4, 1)]), [(8, 1), (9, 1)], "of a lost attempt");
    }

    #[test]
    fn while_the_coordinator_is_away_what_its_rows_point_to_stays() {
        let scope = PruneScope::new(18, &refs(&[(120, 17), (100, 17), (80, 17)]), 120);
        let away = scope.with_committed(Some(0));
        let disk = [(80, 17), (100, 17), (120, 17), (130, 17), (140, 18), (160, 18), (180, 18), (200, 18)];
        assert_eq!(surplus(&away, 200, &disk), [(130, 17), (140, 18)], "never committed, and the fourth of its own");
        let disk = [(80, 17), (100, 17), (120, 17), (180, 18), (200, 18)];
        assert_eq!(surplus(&scope.with_committed(Some(200)), 200, &disk), [(80, 17), (100, 17)]);
        assert_eq!(surplus(&scope.with_committed(Some(180)), 200, &disk), [(80, 17)]);
    }

    #[test]
    fn damaged_ones_do_not_stand_in_for_good_ones() {
        let scope = PruneScope::new(18, &refs(&[(120, 17), (100, 17), (80, 16)]), 80).with_committed(Some(0));
        assert_eq!(surplus(&scope, 90, &[(80, 16), (100, 17), (120, 17), (90, 18)]), [(100, 17), (120, 17)]);
        // A committed one of a lower step than a damaged one of an older fence is the newest there is.
        let disk = [(80, 16), (100, 17), (90, 18), (110, 18)];
        assert_eq!(surplus(&scope.with_committed(Some(90)), 110, &disk), [(100, 17)]);
    }
}

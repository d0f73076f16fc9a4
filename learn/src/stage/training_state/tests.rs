use std::fs;
use std::path::Path;
use std::sync::Arc;

use tch::Device;

use super::*;
use crate::checkpoint::{PruneScope, newest, save};
use crate::flat::{Layout, Role};

fn flat(value: f64) -> FlatTensors {
    let mut layout = Layout::default();
    layout.add("conv1.weight".into(), &[3, 5], Role::Linear);
    let flat = FlatTensors::zeros(Arc::new(layout), Device::Cpu);
    let _ = flat.get(0).shallow_clone().fill_(value);
    flat
}

/// The vectors of a run.
struct Vectors([FlatTensors; 3]);

impl Vectors {
    fn new(value: f64) -> Self {
        Self([flat(value), flat(value + 1.0), flat(value + 2.0)])
    }

    fn state(&self) -> TrainingState<'_> {
        TrainingState(["parameters.", "statistics.", "velocity."].into_iter().zip(&self.0).collect())
    }

    fn values(&self) -> [f64; 3] {
        [0, 1, 2].map(|i| self.0[i].get(0).double_value(&[2, 4]))
    }
}

fn position(step: u64) -> Position {
    let loss_sum = 0.1 + step as f64;
    let best = Some(Best { step: 7, hits: 12 });
    Position {
        step,
        loss_sum,
        loss_count: 3,
        epoch_loss: Some(1.0 / 3.0),
        knn_accuracy: None,
        hits: 5,
        best,
        // Read back in haste it is the next number: serde_json needs `float_roundtrip`.
        lowest: Some(Lowest { step: 6, loss: f64::from_bits(4_615_682_893_518_209_024) }),
        seconds: 4.5,
        stall_seconds: 0.25,
    }
}

/// By the attempt of `scope`; also why something could not be removed.
fn save_by(folder: &Path, scope: &PruneScope, step: u64) -> (CheckpointRef, Vec<String>) {
    let vectors = Vectors::new(step as f64);
    let origin = Origin { spec_sha256: "spec".into(), images: "images".into() };
    let write = |folder: &Path| vectors.state().write(folder, &origin, position(step), || {});
    let saved = save(&TRAINING, folder, scope, step, write).unwrap();
    (CheckpointRef { step, path: saved.path, sha256: saved.sha256 }, saved.not_removed)
}

/// By an attempt that nobody commits for.
fn save_at(folder: &Path, step: u64) -> CheckpointRef {
    save_by(folder, &PruneScope::new(1, &[], 0), step).0
}

fn load(candidates: &[CheckpointRef], spec_sha256: &str, vectors: &Vectors) -> (Option<Position>, Vec<String>) {
    let load = |candidate: &CheckpointRef| vectors.state().load(candidate, spec_sha256);
    let (found, skipped) = newest(&TRAINING, candidates, load);
    assert!(found.iter().all(|found| found.images.as_deref() == Some("images")));
    (found.map(|found| found.position), skipped)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_newest_three_are_kept_and_the_newest_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let other = ["artifacts", "step-of-somebody"];
    let unfinished = [".unfinished-00000002-f1", ".unfinished-00000002", ".unfinished-00000009-f2"];
    other.iter().chain(&unfinished).for_each(|name| fs::create_dir(folder.path().join(name)).unwrap());
    let mut saved: Vec<CheckpointRef> = [1, 2, 3, 10].map(|step| save_at(folder.path(), step)).into();
    let steps = ["step-00000002-f1", "step-00000003-f1", "step-00000010-f1"];
    let left = [&[".unfinished-00000009-f2", "artifacts"], &steps[..], &["step-of-somebody"]].concat();
    assert_eq!(names(folder.path()), left);
    saved.reverse();
    let vectors = Vectors::new(0.0);
    assert_eq!(load(&saved, "spec", &vectors), (Some(position(10)), vec![]));
    assert_eq!(vectors.values(), [10.0, 11.0, 12.0]);
}

#[test]
fn checkpoints_of_a_lost_attempt_that_was_further_make_room() {
    let folder = tempfile::tempdir().unwrap();
    for step in [3, 7, 8, 9, 4] {
        save_at(folder.path(), step);
    }
    assert_eq!(names(folder.path()), ["step-00000004-f1"]);
    save_at(folder.path(), 5);
    assert_eq!(names(folder.path()), ["step-00000004-f1", "step-00000005-f1"]);
}

#[test]
fn a_stale_attempt_that_wakes_up_leaves_the_live_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let before = [save_by(folder.path(), &PruneScope::new(17, &[], 0), 120).0];
    let live = PruneScope::new(18, &before, 120).with_committed(Some(0));
    let stale = PruneScope::new(17, &[], 0).with_committed(Some(120));
    let taken = [140, 160].map(|step| save_by(folder.path(), &live, step).0);
    let unfinished = folder.path().join(".unfinished-00000180-f18");
    fs::create_dir(&unfinished).unwrap();
    let own = [130, 135, 140, 150, 160].map(|step| save_by(folder.path(), &stale, step).0);
    assert!(unfinished.exists());
    for (kept, value) in taken.iter().chain(&before).zip([140.0, 160.0, 120.0]) {
        let vectors = Vectors::new(0.0);
        assert_eq!(load(std::slice::from_ref(kept), "spec", &vectors), (Some(position(kept.step)), vec![]));
        assert_eq!(vectors.values()[0], value);
    }
    let stays = |saved: &CheckpointRef| saved.path.exists();
    assert_eq!(own.each_ref().map(stays), [false, false, true, true, true]);
    assert_eq!(own[2].sha256, taken[0].sha256, "the same bytes of any attempt");
}

#[test]
fn what_rows_point_to_stays_however_long_the_coordinator_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let first = PruneScope::new(4, &[], 0);
    let committed = [10, 20].map(|step| save_by(folder.path(), &first.with_committed(Some(step)), step).0);
    for step in 3..12 {
        save_by(folder.path(), &first.with_committed(Some(20)), 10 * step);
    }
    assert!(committed.iter().all(|row| row.path.exists()));
    assert_eq!(names(folder.path()).len(), 5);
    save_by(folder.path(), &first.with_committed(Some(110)), 120);
    assert_eq!(names(folder.path()), [90, 100, 110, 120].map(|step| format!("step-{step:08}-f4")));
}

#[test]
fn what_is_damaged_missing_or_foreign_is_skipped_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, step| save_at(&folder.path().join(name), step);
    let [good, torn, flipped] = [("good", 1), ("torn", 2), ("flipped", 3)].map(|(name, step)| at(name, step));
    let change = |saved: &CheckpointRef, change: &dyn Fn(&mut Vec<u8>)| {
        let state = saved.path.join("state.safetensors");
        let mut bytes = fs::read(&state).unwrap();
        change(&mut bytes);
        fs::write(&state, &bytes).unwrap();
    };
    change(&torn, &|bytes| bytes.truncate(bytes.len() - 3));
    change(&flipped, &|bytes| *bytes.last_mut().unwrap() ^= 1);
    let missing = CheckpointRef { step: 4, path: folder.path().join("step-00000004-f1"), sha256: String::new() };
    let exchanged = CheckpointRef { sha256: "00".into(), ..good.clone() };

    let vectors = Vectors::new(0.0);
    let (found, skipped) = load(&[missing, flipped, torn, exchanged, good.clone()], "spec", &vectors);
    assert_eq!(found, Some(position(1)));
    assert_eq!(vectors.values(), [1.0, 2.0, 3.0]);
    let reasons = [
        "checkpoint of step 4 skipped: cannot read ",
        "checkpoint of step 3 skipped: step-00000003-f1/state.safetensors is damaged (sha256 ",
        "checkpoint of step 2 skipped: step-00000002-f1/state.safetensors is damaged (sha256 ",
        "checkpoint of step 1 skipped: step-00000001-f1/manifest.json is damaged (sha256 ",
    ];
    assert_eq!(skipped.len(), reasons.len());
    for (note, reason) in skipped.iter().zip(reasons) {
        assert!(note.starts_with(reason) && note.ends_with("; going on from step 1"), "{note}");
    }
    assert!(skipped[0].contains("No such file") && skipped[2].contains(" bytes in place of "), "{skipped:#?}");

    let vectors = Vectors::new(0.0);
    let (found, skipped) = load(&[good], "another spec", &vectors);
    assert_eq!((found, vectors.values()), (None, [0.0, 1.0, 2.0]));
    assert!(skipped[0].ends_with("it belongs to another experiment; starting from the beginning"), "{skipped:?}");
}

#[test]
fn a_step_that_is_there_already_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let first = save_at(folder.path(), 5);
    let second = save_at(folder.path(), 5);
    assert_eq!(first, second, "the same state is the same bytes");
    assert!(load(&[second], "spec", &Vectors::new(0.0)).0.is_some());
}

/// A file in the place of a folder: not even root can remove it as a folder.
#[test]
fn what_cannot_be_removed_is_reported_and_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stuck = ["step-00000001-f1", ".unfinished-00000001-f1"].map(|name| folder.path().join(name));
    stuck.iter().for_each(|path| fs::write(path, "").unwrap());
    let scope = PruneScope::new(1, &[], 0);
    let saved: Vec<_> = (2..6).map(|step| save_by(folder.path(), &scope, step)).collect();
    let (last, not_removed) = saved.last().unwrap();
    assert!(stuck.iter().all(|path| not_removed.iter().any(|why| why.contains(path.to_str().unwrap()))));
    assert_eq!((last.path.is_dir(), saved[0].0.path.exists(), not_removed.len()), (true, false, 2), "{not_removed:?}");
}

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tch::Device;

use super::*;
use crate::flat::{Layout, Role};
use crate::task::CheckpointRef;

fn flat(value: f64) -> Flat {
    let mut layout = Layout::default();
    layout.add("conv1.weight".into(), &[3, 5], Role::Linear);
    let flat = Flat::zeros(Arc::new(layout), Device::Cpu);
    let _ = flat.get(0).shallow_clone().fill_(value);
    flat
}

struct Run([Flat; 3]);

impl Run {
    fn new(value: f64) -> Self {
        Self([flat(value), flat(value + 1.0), flat(value + 2.0)])
    }

    fn state(&self) -> State<'_> {
        State(["parameters.", "statistics.", "velocity."].into_iter().zip(&self.0).collect())
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
        seconds: 4.5,
    }
}

fn save_at(folder: &Path, step: u64) -> CheckpointRef {
    let saved = save(folder, "spec", position(step), &Run::new(step as f64).state()).unwrap();
    CheckpointRef { step, path: saved.path, sha256: saved.sha256 }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_newest_two_are_kept_and_the_newest_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".unfinished-00000002")).unwrap();
    let mut saved: Vec<CheckpointRef> = [1, 2, 10].map(|step| save_at(folder.path(), step)).into();
    assert_eq!(names(folder.path()), ["step-00000002", "step-00000010"]);
    saved.reverse();
    let run = Run::new(0.0);
    assert_eq!(newest(&saved, "spec", &run.state()), (Some(position(10)), vec![]));
    assert_eq!(run.values(), [10.0, 11.0, 12.0]);
}

#[test]
fn checkpoints_of_a_lost_attempt_that_was_further_make_room() {
    let folder = tempfile::tempdir().unwrap();
    for step in [3, 8, 9, 4] {
        save_at(folder.path(), step);
    }
    assert_eq!(names(folder.path()), ["step-00000004"]);
    save_at(folder.path(), 5);
    assert_eq!(names(folder.path()), ["step-00000004", "step-00000005"]);
}

#[test]
fn what_is_damaged_missing_or_foreign_is_skipped_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = save_at(folder.path(), 1);
    let torn = save_at(folder.path(), 2);
    let state = torn.path.join("state.safetensors");
    let bytes = fs::read(&state).unwrap();
    fs::write(&state, &bytes[..bytes.len() - 3]).unwrap();
    let missing = CheckpointRef { step: 3, path: folder.path().join("step-00000003"), sha256: String::new() };
    let exchanged = CheckpointRef { sha256: "00".into(), ..good.clone() };

    let run = Run::new(0.0);
    let (found, skipped) = newest(&[missing, torn, exchanged, good.clone()], "spec", &run.state());
    assert_eq!(found, Some(position(1)));
    assert_eq!(run.values(), [1.0, 2.0, 3.0]);
    let reasons = ["No such file", "state.safetensors has", "manifest.json has"];
    assert!(skipped.iter().zip(reasons).all(|(note, reason)| note.contains(reason)), "{skipped:#?}");
    assert_eq!(skipped.len(), 3);

    let run = Run::new(0.0);
    let (found, skipped) = newest(&[good], "another spec", &run.state());
    assert_eq!((found, run.values()), (None, [0.0, 1.0, 2.0]));
    assert!(skipped[0].contains("another experiment"));
}

#[test]
fn a_step_that_is_there_already_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let first = save_at(folder.path(), 5);
    let second = save_at(folder.path(), 5);
    assert_eq!(first, second, "the same state is the same bytes");
    assert!(newest(&[second], "spec", &Run::new(0.0).state()).0.is_some());
}

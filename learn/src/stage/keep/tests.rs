use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use tandem_collective::ProcessGroup;

use super::*;
use crate::flat::{Layout, Role};
use crate::task::{CheckpointRef, Task};

#[test]
fn whichever_is_due_first() {
    let minutes = |minutes: f64| Duration::from_secs_f64(60.0 * minutes);
    let both = Rhythm { steps: 10, minutes: 2.0 };
    assert!(both.due(10, false, false, minutes(0.1)) && both.due(7, false, false, minutes(2.0)));
    assert!(!both.due(7, true, false, minutes(1.9)), "the end of an epoch says nothing here");
    assert!(both.due(7, true, true, minutes(0.0)), "the end of all does");
    let by_clock = Rhythm { steps: 0, minutes: 0.5 };
    assert!(by_clock.due(3, false, false, minutes(0.5)) && !by_clock.due(3, true, false, minutes(0.4)));
    let neither = Rhythm::default();
    assert!(neither.due(3, true, false, minutes(0.0)) && neither.due(3, false, false, minutes(10.0)));
    assert!(!neither.due(3, false, false, minutes(9.9)));
}

fn task(job_dir: &Path, fence: i64) -> Task {
    let spec = r#"{"name": "s", "dataset": "shapes", "seed": 1, "workers": {"min": 1, "max": 1}, "shards": 1,
                   "threads": 1, "inputs": [], "stage": {"stage": "supervised", "encoder": "resnet-tiny"}}"#;
    Task {
        job_id: "job".into(),
        attempt_id: "attempt".into(),
        fence,
        rank: 0,
        world_size: 1,
        spec: serde_json::from_str(spec).unwrap(),
        device: "cpu".into(),
        data_dir: job_dir.into(),
        job_dir: job_dir.into(),
        inputs: vec![],
        checkpoints: vec![],
        host: "127.0.0.1".into(),
        timing: String::new(),
    }
}

fn flat() -> FlatTensors {
    let mut layout = Layout::default();
    layout.add("conv1.weight".into(), &[300, 500], Role::Linear);
    FlatTensors::zeros(Arc::new(layout), Device::Cpu)
}

fn set(flat: &FlatTensors, value: f64) {
    let _ = flat.vector().shallow_clone().fill_(value);
}

fn at(step: u64) -> Position {
    Position { step, ..Position::default() }
}

/// Runs `run` as a rank that keeps `state`; returns the checkpoints that it told of, newest first.
fn keeping(
    task: &Task,
    state: &FlatTensors,
    run: impl FnOnce(&mut Keeper, &mut Rank<'_>, &State<'_>, Position) -> Result<(), Failure>,
) -> (Result<(), Failure>, Vec<CheckpointRef>) {
    let (mut told, stop, group) = (Vec::new(), AtomicBool::new(false), ProcessGroup::alone());
    let mut report = |event: Event| {
        if let Event::Checkpoint { step, path, sha256, .. } = event {
            told.insert(0, CheckpointRef { step, path, sha256 });
        }
    };
    let mut rank = Rank::new(task, &group, Device::Cpu, &mut report, &stop);
    let state = State(vec![("parameters.", state)]);
    let (mut keeper, position) = Keeper::resume(&mut rank, &state).unwrap();
    let ended = run(&mut keeper, &mut rank, &state, position);
    (ended, told)
}

#[test]
fn what_is_saved_is_the_state_at_its_step_though_training_went_on() {
    let folder = tempfile::tempdir().unwrap();
    let (training, mut task) = (flat(), task(folder.path(), 3));
    let (ended, told) = keeping(&task, &training, |keeper, rank, state, _| {
        for step in 1..=5 {
            set(&training, step as f64);
            keeper.save(rank, at(step), state)?;
            // Training goes on at once, over the numbers that are being written.
            set(&training, -1.0);
            keeper.poll(rank)?;
        }
        assert!(keeper.stall_seconds() > 0.0);
        keeper.settle(rank)
    });
    assert_eq!(ended, Ok(()));
    assert_eq!(told.iter().map(|saved| saved.step).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    for (saved, value) in told.iter().zip([5.0, 4.0]) {
        task.checkpoints = vec![saved.clone()];
        let (ended, _) = keeping(&task, &training, |keeper, _, _, position| {
            assert_eq!((position.step as f64, training.get(0).double_value(&[299, 499])), (value, value));
            assert!(position.stall_seconds > 0.0 && keeper.stall_seconds() >= position.stall_seconds);
            Ok(())
        });
        assert_eq!(ended, Ok(()));
    }
}

#[test]
fn what_is_not_finite_is_not_kept_and_the_one_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (training, task) = (flat(), task(folder.path(), 3));
    let (ended, told) = keeping(&task, &training, |keeper, rank, state, _| {
        keeper.save(rank, at(1), state)?;
        let _ = training.get(0).shallow_clone().narrow(0, 7, 1).fill_(f64::NAN);
        keeper.save(rank, at(2), state)?;
        keeper.close(rank, Ok(()))
    });
    assert!(matches!(&ended, Err(Failure::Job(why)) if why.contains("not finite after step 2")), "{ended:?}");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!((told.len(), names), (1, vec!["step-00000001-f3".into()]));
}

#[test]
fn a_failed_save_names_its_path_and_what_was_kept_is_told_whatever_happened_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (training, task) = (flat(), task(&folder.path().join("job"), 3));
    let (ended, told) = keeping(&task, &training, |keeper, rank, state, _| {
        keeper.save(rank, at(1), state)?;
        keeper.close(rank, Err(Failure::Peer("rank 1 is gone".into())))
    });
    assert_eq!((ended, told.len()), (Err(Failure::Peer("rank 1 is gone".into())), 1));
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let task = Task { job_dir: file.join("job"), ..task };
    let (ended, _) = keeping(&task, &training, |keeper, rank, state, _| {
        keeper.save(rank, at(1), state)?;
        keeper.settle(rank)
    });
    assert!(matches!(&ended, Err(Failure::Machine(why)) if why.contains("file/job")), "{ended:?}");
}

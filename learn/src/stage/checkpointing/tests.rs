use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use tandem_collective::ProcessGroup;

use super::*;
use crate::flat::{Layout, Role};
use crate::report::Event;
use crate::task::{CheckpointRef, Task};

#[test]
fn whichever_is_due_first() {
    let minutes = |minutes: f64| Duration::from_secs_f64(60.0 * minutes);
    let both = CheckpointPolicy { steps: 10, minutes: 2.0 };
    assert!(both.due(10, false, false, minutes(0.1)) && both.due(7, false, false, minutes(2.0)));
    assert!(!both.due(7, true, false, minutes(1.9)), "the end of an epoch says nothing here");
    assert!(both.due(7, true, true, minutes(0.0)), "the end of all does");
    let by_clock = CheckpointPolicy { steps: 0, minutes: 0.5 };
    assert!(by_clock.due(3, false, false, minutes(0.5)) && !by_clock.due(3, true, false, minutes(0.4)));
    let neither = CheckpointPolicy::default();
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
        stored_data: None,
        replay: None,
        job_dir: job_dir.into(),
        inputs: vec![],
        images: String::new(),
        store_id: String::new(),
        checkpoints: vec![],
        host: "127.0.0.1".into(),
        meet_ports: None,
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

/// Calls `run` as a rank whose tensors are `state`; returns the checkpoints that it reported, newest first, and its notes.
fn with_checkpointer(
    task: &Task,
    state: &FlatTensors,
    run: impl FnOnce(&mut Checkpointer, &mut RankContext<'_>, &TrainingState<'_>, Position) -> Result<(), Failure>,
) -> (Result<(), Failure>, Vec<CheckpointRef>, Vec<String>) {
    let (stop, group) = (AtomicBool::new(false), ProcessGroup::alone());
    let (mut saved, mut notes) = (Vec::new(), Vec::new());
    let mut report = |event: Event| match event {
        Event::Checkpoint { step, path, sha256, .. } => saved.insert(0, CheckpointRef { step, path, sha256 }),
        Event::Note { message, .. } => notes.push(message),
        _ => {}
    };
    let mut rank = RankContext::new(task, &group, Device::Cpu, &mut report, &stop);
    let state = TrainingState(vec![("parameters.", state)]);
    let (mut checkpointer, position) = Checkpointer::resume(&mut rank, &state, "images").unwrap();
    let ended = run(&mut checkpointer, &mut rank, &state, position);
    (ended, saved, notes)
}

#[test]
fn what_is_saved_is_the_state_at_its_step_though_training_went_on() {
    let folder = tempfile::tempdir().unwrap();
    let (training, mut task) = (flat(), task(folder.path(), 3));
    let (ended, saved, _) = with_checkpointer(&task, &training, |checkpointer, rank, state, _| {
        for step in 1..=5 {
            set(&training, step as f64);
            checkpointer.save(rank, at(step), state)?;
            // Training goes on at once, over the numbers that are being written.
            set(&training, -1.0);
            checkpointer.poll(rank)?;
        }
        assert!(checkpointer.stall_seconds() > 0.0);
        checkpointer.wait(rank)
    });
    assert_eq!(ended, Ok(()));
    assert_eq!(saved.iter().map(|saved| saved.step).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    for (saved, value) in saved.iter().zip([5.0, 4.0]) {
        task.checkpoints = vec![saved.clone()];
        let (ended, ..) = with_checkpointer(&task, &training, |checkpointer, _, _, position| {
            assert_eq!((position.step as f64, training.get(0).double_value(&[299, 499])), (value, value));
            assert!(position.stall_seconds > 0.0 && checkpointer.stall_seconds() >= position.stall_seconds);
            Ok(())
        });
        assert_eq!(ended, Ok(()));
    }
}

#[test]
fn what_is_not_finite_is_not_kept_and_the_one_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (training, task) = (flat(), task(folder.path(), 3));
    let (ended, saved, _) = with_checkpointer(&task, &training, |checkpointer, rank, state, _| {
        checkpointer.save(rank, at(1), state)?;
        let _ = training.get(0).shallow_clone().narrow(0, 7, 1).fill_(f64::NAN);
        checkpointer.save(rank, at(2), state)?;
        checkpointer.finish(rank, Ok(()))
    });
    assert!(matches!(&ended, Err(Failure::Job(why)) if why.contains("not finite after step 2")), "{ended:?}");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!((saved.len(), names), (1, vec!["step-00000001-f3".into()]));
}

#[test]
fn a_failed_save_names_its_path_and_what_was_saved_is_reported_whatever_happened_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (training, task) = (flat(), task(&folder.path().join("job"), 3));
    let (ended, saved, _) = with_checkpointer(&task, &training, |checkpointer, rank, state, _| {
        checkpointer.save(rank, at(1), state)?;
        checkpointer.finish(rank, Err(Failure::Peer("rank 1 is gone".into())))
    });
    assert_eq!((ended, saved.len()), (Err(Failure::Peer("rank 1 is gone".into())), 1));
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let task = Task { job_dir: file.join("job"), ..task };
    let (ended, ..) = with_checkpointer(&task, &training, |checkpointer, rank, state, _| {
        checkpointer.save(rank, at(1), state)?;
        checkpointer.wait(rank)
    });
    assert!(matches!(&ended, Err(Failure::InputMissing(why)) if why.contains("file/job")), "{ended:?}");
}

#[test]
fn a_file_that_cannot_be_removed_is_noted_once_and_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (training, task) = (flat(), task(folder.path(), 3));
    // Not even root can remove it as a folder.
    let stuck = folder.path().join("step-00000001-f3");
    fs::write(&stuck, "").unwrap();
    let (ended, saved, notes) = with_checkpointer(&task, &training, |checkpointer, rank, state, _| {
        (2..=6).try_for_each(|step| checkpointer.save(rank, at(step), state))?;
        checkpointer.finish(rank, Ok(()))
    });
    assert_eq!((ended, saved.len(), notes.len()), (Ok(()), 5, 1), "{notes:?}");
    assert!(notes[0].contains(stuck.to_str().unwrap()), "{notes:?}");
}

#[test]
fn a_training_does_not_go_on_with_other_images_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = flat();
    let mut task = task(folder.path(), 1);
    task.checkpoints = with_checkpointer(&task, &state, |checkpointer, rank, state, _| {
        checkpointer.save(rank, at(39), state)?;
        checkpointer.wait(rank)
    })
    .1;
    let resume = |task: &Task, images: &str| {
        let (stop, group, mut report) = (AtomicBool::new(false), ProcessGroup::alone(), |_: Event| {});
        let mut rank = RankContext::new(task, &group, Device::Cpu, &mut report, &stop);
        let resumed = Checkpointer::resume(&mut rank, &TrainingState(vec![("parameters.", &state)]), images);
        resumed.map(|(_, position)| position.step)
    };
    assert_eq!(resume(&task, "images"), Ok(39));
    let why = match resume(&task, "others") {
        Err(Failure::InputMissing(why)) => why,
        other => panic!("{other:?}"),
    };
    for words in ["step 39 was trained on other images of shapes", "images.., here others..", "--fresh"] {
        assert!(why.contains(words), "{why}");
    }

    // An earlier version wrote no checksum.
    let manifest = task.checkpoints[0].path.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap().replace("  \"images\": \"images\",\n", "");
    assert!(!text.contains("images"));
    fs::write(&manifest, &text).unwrap();
    task.checkpoints[0].sha256 = crate::files::sha256(text.as_bytes());
    assert_eq!(resume(&task, "others"), Ok(39));
}

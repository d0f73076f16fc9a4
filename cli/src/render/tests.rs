//! What people see in terminals of 60, 80 and 200 columns, and in one that does not say how wide it is: beside what `golden/`
//! holds. `UPDATE_GOLDEN=1` writes these anew.

use std::{fs, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use tandem_proto::{
    convert,
    v1::{
        Attempt, Checkpoint, Device, DeviceFacts, Event, Experiment, Job, JobState, Scalar, Series, ShowResponse,
        StatusResponse, Worker, WorkerState,
    },
};

use super::{job, results, show, sparks, status, table::Style};

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(1)
}

fn ago(seconds: i64) -> Option<convert::Timestamp> {
    Some(convert::timestamp(now() - TimeDelta::seconds(seconds)))
}

fn jobs() -> Vec<Job> {
    let running = Job { created_at: ago(300), started_at: ago(200), ..job::tests::running() };
    let named = |number: u8, name: &str, state: JobState, reason: &str| Job {
        id: format!("0199a1b{number}-c3d4-7aaa-8000-000000000001"),
        name: name.to_owned(),
        state: state.into(),
        reason: reason.to_owned(),
        progress: None,
        ..running.clone()
    };
    let waits = "waits for 2 cuda workers: gpu-0 busy with `quickstart/encoder` until about 14:20 UTC";
    let lost = "train and test classes differ: `cat` is only in train, `dog` only in test; give both folders the same";
    let mut done = named(4, "linear[label_fraction=0.1]", JobState::Succeeded, "");
    let scalar = |name: &str, value| Scalar { name: name.to_owned(), value };
    done.results = vec![scalar("loss", 0.4546), scalar("test_accuracy", 0.7083), scalar("peak_memory_bytes", 2e9)];
    done.finished_at = ago(20);
    vec![
        running.clone(),
        named(3, "encoder[optimizer.lr=0.2]", JobState::Queued, waits),
        done,
        named(5, "supervised", JobState::Failed, lost),
    ]
}

fn workers() -> StatusResponse {
    let worker = |number: u32, job: Option<&Job>| Worker {
        name: format!("gpu-{number}"),
        host: "box".to_owned(),
        state: if job.is_some() { WorkerState::Busy } else { WorkerState::Idle }.into(),
        device: Some(Device {
            kind: "cuda".to_owned(),
            index: number,
            name: "GeForce GTX 1080 Ti".to_owned(),
            memory_bytes: 11 << 30,
            ..Device::default()
        }),
        facts: Some(DeviceFacts {
            utilization_percent: Some(97),
            memory_used_bytes: Some(9 << 30),
            temperature_celsius: Some(71),
            power_watts: Some(240),
            foreign_processes: Some(0),
            ..Default::default()
        }),
        owner: job.map(|job| job.owner.clone()).unwrap_or_default(),
        experiment: job.map(|job| job.experiment_name.clone()).unwrap_or_default(),
        job_name: job.map(|job| job.name.clone()).unwrap_or_default(),
        busy_since: job.and_then(|_| ago(125)),
        seconds_left: if job.is_some() { 95.0 } else { 0.0 },
        last_seen: ago(1),
        ..Worker::default()
    };
    StatusResponse {
        server_version: "0.1.0".to_owned(),
        server_started_at: ago(3000),
        running: 1,
        queued: 1,
        workers: vec![worker(0, Some(&jobs()[0])), worker(1, None)],
        ..StatusResponse::default()
    }
}

fn one_job() -> ShowResponse {
    let event = |seconds, kind: &str, message: &str| Event {
        at: ago(seconds),
        kind: kind.to_owned(),
        message: message.to_owned(),
        attempt: 1,
        worker: "gpu-0".to_owned(),
        ..Event::default()
    };
    let long = "makes room for `high/encoder` (priority 10 over 0), which waits since 14:02 UTC; goes on from step 121";
    ShowResponse {
        jobs: jobs()[..1].to_vec(),
        attempts: vec![Attempt {
            number: 1,
            fence: 12,
            workers: vec!["gpu-0".to_owned(), "gpu-1".to_owned()],
            assigned_at: ago(200),
            ended_at: ago(100),
            cause: long.to_owned(),
            ..Attempt::default()
        }],
        checkpoints: vec![Checkpoint {
            step: 121,
            bytes: 3 << 20,
            sha256: "9f".repeat(32),
            at: ago(90),
            ..Checkpoint::default()
        }],
        events: vec![event(200, "assigned", "attempt 1 assigned"), event(100, "preempted", long)],
        ..ShowResponse::default()
    }
}

fn experiment() -> ShowResponse {
    let experiment = Experiment {
        name: "quickstart".to_owned(),
        owner: "ann".to_owned(),
        created_at: ago(300),
        ..Experiment::default()
    };
    ShowResponse { experiment: Some(experiment), jobs: jobs(), ..ShowResponse::default() }
}

fn golden(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, shown).unwrap();
    }
    assert_eq!(shown, fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

#[test]
fn tables_in_terminals_of_several_widths() {
    for columns in [60, 80, 200, 0] {
        let style = Style { color: false, width: Some(columns).filter(|columns| *columns > 0) };
        let curve = Series { name: "loss".to_owned(), values: vec![5.5, 5.0, 4.8, 4.5], ..Series::default() };
        let beside = show::Beside { inputs: vec!["data".to_owned()], curves: sparks::lines(&[curve], sparks::metric) };
        let shown = |name: &str, text: &str| golden(&format!("{name}-{columns}"), &format!("{}\n", text.trim_end()));
        shown("list", &job::table(&jobs(), style, now()));
        shown("status", &status::page(&workers(), style, now()));
        shown("show-job", &show::page(&one_job(), &beside, style, now()));
        shown("show-experiment", &show::page(&experiment(), &show::Beside::default(), style, now()));
        shown("results", &results::table(&jobs(), None, style, now()));
    }
}

#[test]
fn no_width_breaks_a_name_or_a_state() {
    for columns in 1..220 {
        let style = Style { color: false, width: Some(columns) };
        let list = job::table(&jobs(), style, now());
        for word in ["encoder[optimizer.lr=0.2]", "linear[label_fraction=0.1]", "supervised", "succeeded", "queued"] {
            assert!(list.contains(word), "{word} at {columns}: {list}");
        }
        // What has to be seen is 47 letters wide.
        let widest = list.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns.max(47), "{widest} at {columns}: {list}");
    }
}

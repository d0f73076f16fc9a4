//! `--json` is a contract with scripts. Each command must print, byte for byte, what `golden/` holds, for messages with
//! every field set and for empty ones. `UPDATE_GOLDEN=1` writes these files anew.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};
use tandem_proto::{
    convert::Timestamp,
    v1::{
        self, Artifact, Attempt, AttemptState, Checkpoint, Dataset, Device, DeviceFacts, Estimate, Event, Experiment,
        Job, JobState, LogLine, Note, PlannedJob, Progress, ReleaseResponse, Scalar, Series, SharedJob, ShowResponse,
        StatusResponse, Submission, SubmitResponse, WatchResponse, Worker, WorkerState,
    },
};

use crate::{
    coordinator::{Coordinator, Script},
    data::image_folder,
    run,
};

const BYTES: &[u8] = b"the weights";

fn at(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos })
}

fn scalar(name: &str, value: f64) -> Scalar {
    Scalar { name: name.to_owned(), value }
}

fn full_job() -> Job {
    Job {
        id: "0199a1b2-c3d4-7aaa-8000-000000000001".to_owned(),
        experiment_id: "0199a1b2-0000-7aaa-8000-000000000001".to_owned(),
        experiment_name: "quick \"start\"".to_owned(),
        name: "encoder[seed=1]".to_owned(),
        stage: "contrastive".to_owned(),
        state: JobState::Running.into(),
        reason: "waits for 2 workers; é".to_owned(),
        owner: "ann".to_owned(),
        workers_min: 1,
        workers_max: 4,
        shards: 8,
        attempts: 3,
        created_at: at(1_700_000_000, 0),
        started_at: at(1_700_000_001, 123_456_000),
        finished_at: at(1_700_000_002, 123_456_789),
        progress: Some(Progress {
            phase: "training".to_owned(),
            step: 42,
            steps: 100,
            epoch: 3,
            epochs: 10,
            images_per_second: 1234.5,
            seconds_left: 95.0,
            metrics: vec![scalar("loss", 4.5), scalar("knn_accuracy", 0.451), scalar("lr", f64::INFINITY)],
        }),
        results: vec![scalar("test_accuracy", 0.5), scalar("loss", f64::NAN), scalar("test_accuracy", 1e-7)],
        spec_json: r#"{"stage": {"z": [1, 2.0, 1e3], "a": null}, "seed": 1}"#.to_owned(),
        content_key: "ab12".to_owned(),
        depends_on: vec!["x".to_owned(), "y".to_owned()],
        priority: -5,
        max_time: Some(v1::MaxTime { seconds: 3600.0, trained_seconds: 60.5, by_policy: true }),
        tags: vec!["camera-ready".to_owned(), "v2".to_owned()],
        note: Some(Note { text: "as \"submitted\"".to_owned(), who: "ann".to_owned(), at: at(1_700_000_000, 0) }),
    }
}

/// What a newer or a faulty coordinator could send: nothing of it may end the command.
fn strange_job() -> Job {
    Job { state: 99, spec_json: "{".to_owned(), created_at: at(i64::MAX, 0), started_at: at(0, -1), ..Job::default() }
}

fn jobs() -> Vec<Job> {
    let states = [JobState::Blocked, JobState::Queued, JobState::Succeeded, JobState::Failed, JobState::Cancelled];
    let others = states.map(|state| Job { state: state.into(), spec_json: "null".to_owned(), ..Job::default() });
    [full_job(), Job::default(), strange_job()].into_iter().chain(others).collect()
}

fn planned() -> Vec<PlannedJob> {
    let estimate = Estimate {
        steps: 1950,
        images_per_epoch: 50_000,
        parameters: 11_500_000,
        gflop: 12.5,
        memory_bytes: 3 << 30,
        seconds: 61.0,
        basis: "12 earlier runs".to_owned(),
        images: 500_000,
    };
    let full = PlannedJob {
        job_id: "7f".to_owned(),
        name: "encoder".to_owned(),
        stage: "contrastive".to_owned(),
        inputs: vec!["a".to_owned()],
        workers_min: 1,
        workers_max: 4,
        shards: 8,
        content_key: "ab12".to_owned(),
        reused: true,
        estimate: Some(estimate),
        refusal: "stage `attack` cannot run yet".to_owned(),
        reused_state: JobState::Queued.into(),
    };
    let unknown = PlannedJob { estimate: Some(Estimate::default()), ..PlannedJob::default() };
    vec![full, unknown, PlannedJob::default()]
}

fn workers() -> Vec<Worker> {
    let full = Worker {
        hold: Some(v1::Withheld {
            by: "ann".to_owned(),
            reason: "a notebook".to_owned(),
            until: Some(Timestamp { seconds: 60, nanos: 0 }),
        }),
        drain: None,
        id: "w-1".to_owned(),
        name: "gpu-0".to_owned(),
        host: "box".to_owned(),
        state: WorkerState::Quarantined.into(),
        device: Some(Device {
            kind: "cuda".to_owned(),
            index: 1,
            name: "GeForce GTX 1080 Ti".to_owned(),
            uuid: "GPU-1".to_owned(),
            memory_bytes: 11 << 30,
            cores: 8,
            driver: "580.1".to_owned(),
        }),
        last_seen: at(1_700_000_003, 500_000_000),
        job_id: "0199a1b2".to_owned(),
        job_name: "encoder".to_owned(),
        rank: 1,
        experiment: "quick \"start\"".to_owned(),
        owner: "ann".to_owned(),
        busy_since: at(1_700_000_001, 0),
        seconds_left: 95.5,
        facts: Some(DeviceFacts {
            utilization_percent: Some(97),
            memory_used_bytes: Some(9 << 30),
            temperature_celsius: Some(71),
            power_watts: Some(240),
            foreign_processes: Some(2),
            ..Default::default()
        }),
        quarantine_reason: "3 different jobs were lost on it".to_owned(),
        quarantined_until: at(1_700_003_600, 0),
        unfit: "it does not see the store".to_owned(),
        withheld: "in use by ann".to_owned(),
        datasets: vec![
            Dataset {
                name: "cifar10".to_owned(),
                sha256: "ab12".to_owned(),
                classes: 10,
                train: 50_000,
                test: 10_000,
                problem: String::new(),
                stored: "ef56".to_owned(),
            },
            Dataset { name: "folder:cats".to_owned(), problem: "1.png is cut off".to_owned(), ..Dataset::default() },
        ],
    };
    let states = [WorkerState::Idle, WorkerState::Busy, WorkerState::Draining, WorkerState::Lost, WorkerState::Gone];
    let others = states.map(|state| Worker { state: state.into(), ..Worker::default() });
    let bare = Worker {
        device: Some(Device::default()),
        facts: Some(DeviceFacts::default()),
        last_seen: at(0, i32::MAX),
        ..Worker::default()
    };
    [full, Worker::default(), bare].into_iter().chain(others).collect()
}

fn artifact() -> Artifact {
    Artifact {
        id: "a-1".to_owned(),
        job_id: "7f".to_owned(),
        kind: "encoder".to_owned(),
        name: "encoder.safetensors".to_owned(),
        bytes: BYTES.len() as u64,
        sha256: Sha256::digest(BYTES).iter().map(|byte| format!("{byte:02x}")).collect(),
        uri: "jobs/7f/encoder.safetensors".to_owned(),
    }
}

fn shown() -> ShowResponse {
    let states = [
        AttemptState::Unspecified,
        AttemptState::Assigned,
        AttemptState::Starting,
        AttemptState::Training,
        AttemptState::Verifying,
        AttemptState::Succeeded,
        AttemptState::Failed,
        AttemptState::Lost,
        AttemptState::Preempted,
        AttemptState::Cancelled,
    ];
    let mut attempts = vec![Attempt {
        id: "at-1".to_owned(),
        number: 1,
        fence: 12,
        state: AttemptState::Lost.into(),
        cause: "ended by signal 9".to_owned(),
        assigned_at: at(1_700_000_000, 0),
        training_at: at(1_700_000_001, 0),
        ended_at: at(1_700_000_002, 0),
        workers: vec!["cpu-0".to_owned(), "cpu-1".to_owned()],
        first_step: 120,
    }];
    attempts.extend(states.map(|state| Attempt { state: state.into(), ..Attempt::default() }));
    let event = Event {
        at: at(1_700_000_000, 1000),
        kind: "assigned".to_owned(),
        message: "attempt 1 assigned".to_owned(),
        job_id: "7f".to_owned(),
        attempt: 1,
        worker: "cpu-0".to_owned(),
    };
    let checkpoint = Checkpoint {
        step: 120,
        bytes: 9,
        sha256: "ab".to_owned(),
        path: "jobs/7f/step-00000120-f12".to_owned(),
        at: at(1_700_000_000, 0),
        removed: true,
    };
    let experiment = Experiment {
        id: "e-1".to_owned(),
        name: "quickstart".to_owned(),
        owner: "ann".to_owned(),
        created_at: at(1_700_000_000, 0),
        toml: "name = \"quickstart\"\n".to_owned(),
        tags: vec!["camera-ready".to_owned()],
        note: Some(Note { text: "as submitted".to_owned(), who: "ann".to_owned(), at: at(1_700_000_000, 0) }),
        archived: true,
    };
    ShowResponse {
        experiment: Some(experiment),
        jobs: jobs(),
        attempts,
        events: vec![event, Event::default()],
        checkpoints: vec![checkpoint, Checkpoint::default()],
        artifacts: vec![artifact(), Artifact::default()],
    }
}

/// Runs `tandem` and compares what it prints; `changing` stands in it for what is different in each run.
async fn check(name: &str, script: Script, args: &[&str], changing: &[(&str, &str)]) {
    let (server, _) = Coordinator::start(script).await;
    let answer = run(&server, &[args, &["--json"]].concat()).await;
    let mut printed = answer.stdout().replace(&server, "SERVER");
    for (value, placeholder) in changing {
        printed = printed.replace(value, placeholder);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &printed).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, golden, "{name}; stderr: {}", answer.stderr());
}

#[tokio::test]
async fn jobs_are_printed_as_ever() {
    let script = || Script { jobs: jobs(), ..Script::default() };
    check("list", script(), &["list"], &[]).await;
    check("list-empty", Script::default(), &["list"], &[]).await;
    check("cancel", script(), &["cancel", "x"], &[]).await;
    check("cancel-empty", Script::default(), &["cancel", "x"], &[]).await;
    let wanted_by = vec![Submission { id: "e-1".to_owned(), name: "can".to_owned(), owner: "ann".to_owned() }];
    let shared = SharedJob { job_id: "j-1".to_owned(), name: "enc".to_owned(), cancelled: true, wanted_by };
    check("cancel-shared", Script { shared: vec![shared], ..Script::default() }, &["cancel", "x"], &[]).await;
    check("results", script(), &["results"], &[]).await;
    check("results-empty", Script::default(), &["results"], &[]).await;
    let table = [("a", "0.1", 0.25), ("a", "1", 0.5), ("b", "0.1", 0.75)].map(|(seed, fraction, accuracy)| Job {
        name: format!("linear[label_fraction={fraction},seed={seed}]"),
        stage: "linear".to_owned(),
        results: vec![scalar("test_accuracy", accuracy)],
        ..full_job()
    });
    let script = Script { jobs: table.into(), ..Script::default() };
    check("results-table", script, &["results", "--table"], &[]).await;
    let snapshots = vec![
        WatchResponse { jobs: jobs(), done: false },
        WatchResponse::default(),
        WatchResponse { jobs: vec![full_job()], done: true },
    ];
    check("watch", Script { watches: [snapshots].into(), ..Script::default() }, &["watch", "x"], &[]).await;
}

#[tokio::test]
async fn a_job_with_all_its_parts_is_printed_as_ever() {
    check("show", Script { shown: shown(), ..Script::default() }, &["show", "x"], &[]).await;
    check("show-empty", Script::default(), &["show", "x"], &[]).await;
    let experiment = Some(Experiment::default());
    let shown = ShowResponse { experiment, jobs: vec![strange_job()], ..ShowResponse::default() };
    check("show-bare", Script { shown, ..Script::default() }, &["show", "x"], &[]).await;
    let line = LogLine {
        at: at(1_700_000_000, 0),
        attempt: 1,
        rank: 2,
        line: "step 120\ttab".to_owned(),
        job_name: "encoder".to_owned(),
        sequence: 7,
    };
    let logs = vec![line, LogLine::default()];
    check("logs", Script { logs, ..Script::default() }, &["logs", "x"], &[]).await;
}

#[tokio::test]
async fn submits_are_printed_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.toml");
    fs::write(&file, "name = \"a\"\n").unwrap();
    let file = file.to_str().unwrap();
    let answer = || {
        let (experiment_id, name) = ("e-1".to_owned(), "quickstart".to_owned());
        Ok(SubmitResponse { experiment_id, name, jobs: planned(), priority: 7, notes: vec!["a note".to_owned()] })
    };
    let script = || Script { submit_answers: [answer()].into(), ..Script::default() };
    let empty = || Script { submit_answers: [Ok(SubmitResponse::default())].into(), ..Script::default() };
    check("submit", script(), &["submit", file], &[]).await;
    check("submit-empty", empty(), &["submit", file], &[]).await;
    check("init", Script::default(), &["init", "attack", file, "--force"], &[(file, "FILE")]).await;
    check("submit-dry-run", script(), &["submit", file, "--dry-run"], &[]).await;
    check("submit-dry-run-empty", empty(), &["submit", file, "--dry-run"], &[]).await;
    for (name, jobs) in [("submit-wait", jobs()), ("submit-wait-empty", Vec::new())] {
        let watches = [vec![WatchResponse { jobs, done: true }]].into();
        check(name, Script { watches, ..script() }, &["submit", file, "--wait"], &[]).await;
    }
}

#[tokio::test]
async fn the_fleet_is_printed_as_ever() {
    let status = StatusResponse {
        paused: 0,
        workers: workers(),
        queued: 2,
        blocked: 3,
        running: 1,
        server_version: "0.1.0".to_owned(),
        server_started_at: at(1_700_000_000, 0),
        leader: "box:7077".to_owned(),
    };
    let script = || Script { status: status.clone(), ..Script::default() };
    check("status", script(), &["status"], &[]).await;
    check("data-list", script(), &["data", "list"], &[]).await;
    let stored = v1::StoredDataset {
        name: "cats".to_owned(),
        owner: "ann".to_owned(),
        sha256: "cd34".to_owned(),
        bytes: 3 << 20,
        arrived: 3 << 20,
        stored: true,
        at: at(1_700_000_000, 0),
        classes: 2,
        train: 64,
        test: 8,
    };
    let arrives = v1::StoredDataset { name: "dogs".to_owned(), bytes: 9, arrived: 3, ..Default::default() };
    let with_stored = || Script { stored: vec![stored.clone(), arrives.clone()], ..Script::default() };
    check("data-list-stored", with_stored(), &["data", "list"], &[]).await;
    check("data-remove", with_stored(), &["data", "remove", "folder:cats"], &[]).await;
    let images = tempfile::tempdir().unwrap();
    image_folder(images.path());
    check("data-put", with_stored(), &["data", "put", "cats", images.path().to_str().unwrap()], &[]).await;
    check("data-list-empty", Script::default(), &["data", "list"], &[]).await;
    check("status-empty", Script::default(), &["status"], &[]).await;
    let release = Some(ReleaseResponse { worker: workers().into_iter().next(), was_quarantined: true });
    check("release", Script { release, ..Script::default() }, &["release", "gpu-0"], &[]).await;
    let release = Some(ReleaseResponse::default());
    check("release-empty", Script { release, ..Script::default() }, &["release", "gpu-0"], &[]).await;
}

fn device_report() -> v1::DeviceReport {
    let worker = workers().remove(0);
    v1::DeviceReport {
        worker_id: worker.id,
        worker: worker.name,
        host: worker.host,
        state: WorkerState::InUse.into(),
        device: worker.device,
        withheld: "in use by ann: python (pid 4711, 3.2 GiB)".to_owned(),
        quarantine_reason: "it is throttled".to_owned(),
        late: "its driver does not answer".to_owned(),
        at: at(1_700_000_000, 0),
        now: Some(v1::DeviceFigures {
            utilization_percent: Some(98),
            memory_used_bytes: Some(9 << 30),
            memory_total_bytes: Some(11 << 30),
            temperature_celsius: Some(79),
            power_watts: Some(240),
            sm_clock_mhz: Some(1759),
            sm_clock_max_mhz: Some(1911),
            memory_clock_mhz: Some(5005),
            memory_clock_max_mhz: Some(5505),
            throttle: Some(0x44),
            pcie_received_per_second: Some(1),
            pcie_sent_per_second: Some(2),
            pcie_generation: Some(3),
            pcie_width: Some(16),
            load: Some(1.5),
            state_free_bytes: Some(3),
            store_free_bytes: Some(4),
        }),
        throttled: vec!["too hot".to_owned()],
        processes: vec![v1::DeviceProcess {
            pid: 4711,
            user: "ann".to_owned(),
            name: "python".to_owned(),
            memory_bytes: Some(3 << 30),
            since: at(1_700_000_000, 0),
            ours: true,
        }],
        attempt: 2,
        rank: 1,
        from: at(1_699_996_400, 0),
        until: at(1_700_000_000, 0),
        points: vec![
            v1::DevicePoint {
                at: at(1_699_996_400, 0),
                utilization_percent: Some(97.5),
                memory_used_bytes: Some(9 << 30),
                temperature_celsius: Some(79),
                power_watts: Some(239.5),
                sm_clock_mhz: Some(1700.5),
                load: Some(0.5),
                throttled: true,
            },
            v1::DevicePoint { at: at(1_699_996_430, 0), ..v1::DevicePoint::default() },
        ],
        doubt: "its driver says what cannot be of its load".to_owned(),
    }
}

#[tokio::test]
async fn devices_are_printed_as_ever() {
    let empty = v1::DeviceReport { processes: vec![v1::DeviceProcess::default()], ..v1::DeviceReport::default() };
    let devices = v1::DevicesResponse {
        devices: vec![device_report(), empty],
        job_id: "0199a1b2-c3d4-7aaa-8000-000000000001".to_owned(),
        job_name: "encoder".to_owned(),
    };
    check("devices", Script { devices, ..Script::default() }, &["devices", "--job", "encoder"], &[]).await;
    check("devices-empty", Script::default(), &["devices"], &[]).await;
    let (day, person, kind) = ("2026-11-30".to_owned(), "ann".to_owned(), "cuda".to_owned());
    let usage = vec![v1::Usage { day, person, kind, device_seconds: 3600.5, jobs: 2 }];
    check("usage", Script { usage, ..Script::default() }, &["usage", "--since", "7d"], &[]).await;
    check("usage-empty", Script::default(), &["usage"], &[]).await;
}

#[tokio::test]
async fn files_are_printed_as_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let changing = [(path, "DIR")];
    let shown = ShowResponse { jobs: vec![full_job()], artifacts: vec![artifact()], ..ShowResponse::default() };
    let script = Script { shown, chunks: vec![BYTES.to_vec()], ..Script::default() };
    check("fetch", script, &["fetch", "x", "--out", path], &changing).await;
    let loss = Series {
        job_id: full_job().id,
        name: "loss".to_owned(),
        steps: vec![0, 10],
        values: vec![5.5, 5.0],
        ..Series::default()
    };
    let script = Script { jobs: vec![full_job()], series: vec![loss], ..Script::default() };
    let plot = dir.path().join("loss.svg");
    check("results-plot", script, &["results", "--plot", plot.to_str().unwrap()], &changing).await;
    let folder = dir.path().join("cifar-100-binary");
    fs::create_dir(&folder).unwrap();
    for file in ["train.bin", "test.bin"] {
        fs::write(folder.join(file), "images").unwrap();
    }
    check("data-get", Script::default(), &["data", "get", "cifar100", "--data", path], &changing).await;
    check("down", Script::default(), &["down", "--dir", path], &changing).await;
}

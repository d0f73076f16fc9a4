use chrono::TimeDelta;
use tandem_proto::{
    convert,
    v1::{Device, DeviceFacts, JobState, Progress, Scalar, WorkerState},
};

use super::*;

/// Ten minutes after the epoch.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(10)
}

fn ago(seconds: i64) -> Option<convert::Timestamp> {
    Some(convert::timestamp(now() - TimeDelta::seconds(seconds)))
}

fn job(number: u8, experiment: &str, name: &str, owner: &str, state: JobState) -> Job {
    Job {
        id: format!("0199a1b2-c3d4-7aaa-8000-{number:012}"),
        experiment_name: experiment.to_owned(),
        name: name.to_owned(),
        owner: owner.to_owned(),
        stage: "contrastive".to_owned(),
        state: state.into(),
        created_at: ago(300),
        started_at: (state == JobState::Running).then(|| ago(125)).flatten(),
        ..Job::default()
    }
}

fn running(number: u8, experiment: &str, owner: &str, step: u64) -> Job {
    let scalar = |name: &str, value| Scalar { name: name.to_owned(), value };
    let progress = Progress {
        phase: "training".to_owned(),
        step,
        steps: 100,
        epoch: 3,
        epochs: 10,
        images_per_second: 1234.5,
        seconds_left: 95.0,
        metrics: vec![scalar("knn_accuracy", 0.451), scalar("loss", 4.5)],
    };
    Job { progress: Some(progress), ..job(number, experiment, "encoder", owner, JobState::Running) }
}

fn worker(number: u32, state: WorkerState, job: Option<&Job>) -> Worker {
    let facts = DeviceFacts {
        utilization_percent: Some(87),
        memory_used_bytes: Some(8 << 30),
        temperature_celsius: Some(71),
        power_watts: Some(210),
        foreign_processes: Some(0),
        ..Default::default()
    };
    Worker {
        id: format!("w-{number}"),
        name: format!("gpu-{number}"),
        host: "box".to_owned(),
        state: state.into(),
        device: Some(Device {
            kind: "cuda".to_owned(),
            index: number,
            name: "GeForce GTX 1080 Ti".to_owned(),
            memory_bytes: 11 << 30,
            ..Device::default()
        }),
        facts: (number < 2).then_some(facts),
        job_id: job.map(|job| job.id.clone()).unwrap_or_default(),
        job_name: job.map(|job| job.name.clone()).unwrap_or_default(),
        experiment: job.map(|job| job.experiment_name.clone()).unwrap_or_default(),
        owner: job.map(|job| job.owner.clone()).unwrap_or_default(),
        busy_since: job.and_then(|_| ago(125)),
        seconds_left: if job.is_some() { 95.0 } else { 0.0 },
        ..Worker::default()
    }
}

/// Two jobs on three devices of four, and three jobs that wait.
pub(crate) fn busy_house() -> State {
    let running = vec![running(1, "quickstart", "ann", 42), running(2, "table1", "bob", 7)];
    let waiting = |number, name: &str, priority, reason: &str| Job {
        priority,
        reason: reason.to_owned(),
        ..job(number, "sweep", name, "carol", JobState::Queued)
    };
    let waiting = vec![
        waiting(
            3,
            "encoder[lr=0.1]",
            10,
            "waits for 1 cuda worker: gpu-0 busy with `quickstart/encoder` until about 00:11",
        ),
        waiting(4, "encoder[lr=0.2]", 0, "waits behind `sweep/encoder[lr=0.1]`"),
        waiting(5, "encoder[lr=0.3]", 0, "waits behind `sweep/encoder[lr=0.1]`"),
    ];
    let mut ill = worker(3, WorkerState::Quarantined, None);
    ill.quarantine_reason = "3 different jobs were lost on it".to_owned();
    ill.quarantined_until = ago(-1200);
    let status = StatusResponse {
        server_version: "0.1.0".to_owned(),
        running: 2,
        queued: 3,
        blocked: 4,
        workers: vec![
            worker(0, WorkerState::Busy, Some(&running[0])),
            worker(1, WorkerState::Busy, Some(&running[1])),
            worker(2, WorkerState::Idle, None),
            ill,
        ],
        ..StatusResponse::default()
    };
    State::new("https://box.example:7077", News { status, running, waiting })
}

#[test]
fn a_coordinator_that_is_away_is_so_since_the_first_word_of_it() {
    let mut state = busy_house();
    state.heard(Err("connection refused".to_owned()), now());
    state.heard(Err("no answer".to_owned()), now() + TimeDelta::seconds(5));
    assert_eq!(state.away, Some(Away { since: now(), why: "no answer".to_owned() }));
    assert_eq!(state.running().len(), 2, "what was known stays to be seen");
    state.heard(Ok(News::default()), now());
    assert_eq!((state.away.is_none(), state.running().len()), (true, 0));
}

#[test]
fn an_answer_about_another_job_comes_too_late() {
    let mut state = busy_house();
    state.opened = Some(Opened { job: state.chosen_job().unwrap(), ..Opened::default() });
    state.heard_of("other", Ok(Detail::default()));
    assert!(state.opened.as_ref().unwrap().detail.is_none());
    let shown = ShowResponse { jobs: vec![state.news.running[0].clone()], ..ShowResponse::default() };
    state.heard_of(&state.news.running[0].id.clone(), Ok(Detail { shown, ..Detail::default() }));
    let opened = state.opened.unwrap();
    assert_eq!((opened.metrics(), opened.metric()), (vec!["loss", "knn_accuracy"], Some("loss")));
}

//! `tandem report` as a person runs it.

use std::fs;

use sha2::{Digest, Sha256};
use tandem_proto::v1::{
    Artifact, Device, DevicePoint, DeviceReport, DevicesResponse, Event, Job, JobState, Scalar, Series, ShowResponse,
};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

const CURVE: &str = "radius,paper,all\n0,0,30\n0.25,60,71.25\n0.5,100,95\n";

fn scalars(results: &[(&str, f64)]) -> Vec<Scalar> {
    results.iter().map(|(name, value)| Scalar { name: (*name).to_owned(), value: *value }).collect()
}

fn of(name: &str, stage: &str, spec: &str, from: Option<&Job>, results: &[(&str, f64)]) -> Job {
    Job {
        stage: stage.to_owned(),
        spec_json: format!(r#"{{"dataset": "cifar10", "seed": 1, "shards": 2, "stage": {spec}}}"#),
        depends_on: from.map(|job| job.id.clone()).into_iter().collect(),
        results: scalars(results),
        attempts: 1,
        ..job(name, JobState::Succeeded)
    }
}

fn script() -> Script {
    let mut script = Script::default();
    let encoder = of("encoder", "contrastive", r#"{"encoder": "resnet-tiny"}"#, None, &[("knn_accuracy", 0.45)]);
    let spec = r#"{"label_fraction": 0.1}"#;
    for (seed, accuracy) in [(1, 0.70), (2, 0.72), (3, 0.71)] {
        let name = format!("linear[label_fraction=0.1,seed={seed}]");
        script.jobs.push(of(&name, "linear", spec, Some(&encoder), &[("test_accuracy", accuracy)]));
    }
    let linear = script.jobs[0].clone();
    let attack = of(
        "plb",
        "attack",
        r#"{"attack": "plb", "norm": "l2", "images": 100}"#,
        Some(&linear),
        &[("clean_error", 0.3), ("gate_failed", 1.0), ("median_distance_paper", 0.2)],
    );
    let artifact = Artifact {
        id: "a-1".to_owned(),
        kind: "curve".to_owned(),
        name: "curve.csv".to_owned(),
        bytes: CURVE.len() as u64,
        sha256: hex::encode(Sha256::digest(CURVE)),
        ..Artifact::default()
    };
    let gate = Event { kind: "gate".to_owned(), message: "Square breaks more".to_owned(), ..Event::default() };
    let shown = ShowResponse {
        jobs: vec![attack.clone()],
        artifacts: vec![artifact],
        events: vec![gate],
        ..ShowResponse::default()
    };
    script.shown_of.insert(attack.id.clone(), shown);
    script.bytes_of.insert("a-1".to_owned(), CURVE.as_bytes().to_vec());
    script.series.push(Series {
        job_id: encoder.id.clone(),
        name: "loss".to_owned(),
        steps: vec![0, 100],
        values: vec![5.5, 4.25],
        ..Series::default()
    });
    let at =
        |seconds: i64| Some(tandem_proto::convert::timestamp(chrono::DateTime::from_timestamp(seconds, 0).unwrap()));
    script.devices = DevicesResponse {
        devices: vec![DeviceReport {
            worker: "gpu-0".to_owned(),
            device: Some(Device { kind: "cuda".to_owned(), name: "NVIDIA H200".to_owned(), ..Device::default() }),
            from: at(0),
            until: at(7200),
            points: vec![DevicePoint { power_watts: Some(500.0), ..DevicePoint::default() }],
            ..DeviceReport::default()
        }],
        ..DevicesResponse::default()
    };
    let mut failed = of("finetune", "finetune", spec, Some(&encoder), &[]);
    (failed.state, failed.reason) = (JobState::Failed.into(), "out of memory".to_owned());
    script.jobs.extend([encoder, attack, failed]);
    script
}

#[tokio::test]
async fn one_page_with_the_papers_figures_beside_ours() {
    let (server, _) = Coordinator::start(script()).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    let path = file.to_str().unwrap();
    let made = run(&server, &["report", "quickstart", "--out", path]).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr());
    assert!(
        made.stdout().contains("the report is in") && made.stderr().contains("missing: finetune failed"),
        "{}",
        made.stderr()
    );
    let page = fs::read_to_string(&file).unwrap();
    for part in [
        "Table 1: test accuracy",
        "71.36 %",
        "71.00 ± 1.00 %",
        "n = 3, 95 % 68.52 .. 73.48 %",
        "out of memory",
        "tandem submit examples/table1.toml",
        "Square breaks more",
        "71.25 %",
        "NVIDIA H200",
        "1.00 kWh",
        "Learning curves",
        "mean power times time",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && page.contains("Content-Security-Policy"));

    let again = run(&server, &["report", "quickstart", "--out", path]).await;
    assert_eq!(again.code(), Some(73), "nothing is overwritten: {}", again.stderr());
    assert_eq!(fs::read_to_string(&file).unwrap(), page);
    let forced = run(&server, &["--json", "report", "quickstart", "--out", path, "--force"]).await;
    assert_eq!(forced.code(), Some(0), "{}", forced.stderr());
    let said = forced.json();
    assert_eq!((&said["file"], &said["jobs"]), (&path.into(), &6.into()));
    assert!(
        said["lacks"].as_array().unwrap().iter().any(|lack| lack["command"] == "tandem submit examples/table1.toml")
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no part is left");

    let markdown = run(&server, &["report", "quickstart", "--out", "-", "--format", "md"]).await;
    assert_eq!(markdown.code(), Some(0), "{}", markdown.stderr());
    assert!(markdown.stdout().starts_with("# quickstart\n") && markdown.stdout().contains("71.00 ± 1.00 %"));
    let wrong = run(&server, &["report", "quickstart", "--out", "report.docx"]).await;
    assert_eq!(wrong.code(), Some(2), "{}", wrong.stderr());
    assert!(wrong.stderr().contains("ends neither in .html nor in .md"), "{}", wrong.stderr());
}

#[tokio::test]
async fn what_cannot_be_had_is_said_in_the_report() {
    let mut script = script();
    script.bytes_of.insert("a-1".to_owned(), b"radius,all\n0,1\n".to_vec());
    let (server, _) = Coordinator::start(script).await;
    let markdown = run(&server, &["report", "quickstart", "--out", "-", "--format", "md"]).await;
    assert_eq!(markdown.code(), Some(0), "{}", markdown.stderr());
    assert!(markdown.stdout().contains("The curve of plb is not here: curve.csv is damaged"), "{}", markdown.stdout());

    let running = Script { jobs: vec![job("encoder", JobState::Running)], ..Script::default() };
    let (server, _) = Coordinator::start(running).await;
    let markdown = run(&server, &["report", "quickstart", "--out", "-", "--format", "md"]).await;
    assert_eq!(markdown.code(), Some(0), "{}", markdown.stderr());
    assert!(markdown.stdout().contains("tandem watch quickstart"), "{}", markdown.stdout());
    let (server, _) = Coordinator::start(Script::default()).await;
    assert_eq!(run(&server, &["report", "nothing"]).await.code(), Some(66));
}

#[tokio::test]
async fn a_thousand_jobs_are_reported_and_that_there_are_more() {
    let jobs = (0..1001).map(|number| Job { attempts: 0, ..job(&format!("linear[x={number}]"), JobState::Queued) });
    let (server, script) = Coordinator::start(Script { jobs: jobs.collect(), ..Script::default() }).await;
    let markdown = run(&server, &["report", "many", "--out", "-", "--format", "md"]).await;
    assert_eq!(markdown.code(), Some(0), "{}", markdown.stderr());
    assert!(markdown.stdout().contains("Only the first 1000 jobs are in this report"), "{}", markdown.stdout().len());
    assert!(!markdown.stdout().contains("x=1000"));
    assert_eq!(script.lock().unwrap().showed, 0, "nothing is asked of jobs that have not run");
}

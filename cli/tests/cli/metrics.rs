use std::fs;

use tandem_proto::v1::{JobState, Series};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

const STEPS: u64 = 250_001;

fn script() -> Script {
    let curve = |name: &str, steps: u64| Series {
        // The fake asks for a job by its id alone.
        job_id: "j-1".to_owned(),
        job_name: "encoder".to_owned(),
        name: name.to_owned(),
        steps: (0..steps).collect(),
        values: (0..steps).map(|step| 5.0 - step as f64 / 1e6).collect(),
        ..Series::default()
    };
    let series = vec![curve("loss", STEPS), curve("knn_accuracy", 3)];
    Script { jobs: vec![job("encoder", JobState::Failed)], series, ..Script::default() }
}

#[tokio::test]
async fn which_curves_there_are() {
    let (server, _) = Coordinator::start(script()).await;
    let listed = run(&server, &["metrics", "j-1"]).await;
    assert_eq!(listed.code(), Some(0), "{}", listed.stderr());
    let lines: Vec<Vec<&str>> = listed.stdout().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["METRIC", "POINTS", "LAST", "BEST", "AT", "STEP"]);
    assert_eq!(lines[1], ["loss", "250,001", "4.750", "4.750", "250,000"]);
    let json = run(&server, &["metrics", "j-1", "--json"]).await.json();
    assert_eq!((&json[0]["metric"], &json[0]["points"]), (&"loss".into(), &STEPS.into()));
    let wrong = run(&server, &["metrics", "j-1", "layer1_loss"]).await;
    assert_eq!(wrong.code(), Some(66));
    assert!(wrong.stderr().contains("no curve `layer1_loss`; it has knn_accuracy, loss"), "{}", wrong.stderr());
    let one = run(&server, &["metrics", "j-1", "loss", "los"]).await;
    assert_eq!((one.code(), one.stdout()), (Some(66), ""), "a misspelt one is not left out");
    assert!(one.stderr().contains("no curve `los`; it has"), "{}", one.stderr());
    assert_eq!(run(&server, &["metrics", "j-1", "--points", "9"]).await.code(), Some(2), "of which curve?");
}

#[tokio::test]
async fn a_long_curve_comes_whole_in_parts() {
    let (server, _) = Coordinator::start(script()).await;
    let csv = run(&server, &["metrics", "j-1", "loss"]).await;
    assert_eq!(csv.code(), Some(0), "{}", csv.stderr());
    let mut lines = csv.stdout().lines();
    assert_eq!((lines.next(), lines.next()), (Some("job,metric,step,value"), Some("encoder,loss,0,5.0")));
    assert_eq!((lines.clone().count() as u64 + 1, lines.last()), (STEPS, Some("encoder,loss,250000,4.75")));
    let steps: Vec<u64> =
        csv.stdout().lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!(steps.into_iter().eq(0..STEPS), "each once and in order");
}

#[tokio::test]
async fn a_file_is_what_its_name_says() {
    let (server, _) = Coordinator::start(script()).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (parquet, json) = (path("a.parquet"), path("a.json"));
    assert_eq!(run(&server, &["metrics", "j-1", "loss", "--out", &parquet]).await.code(), Some(0));
    let bytes = fs::read(&parquet).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert_eq!(run(&server, &["metrics", "j-1", "knn_accuracy", "loss", "--out", &json]).await.code(), Some(0));
    let rows: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(rows.as_array().unwrap().len() as u64, STEPS + 3);
    assert_eq!(run(&server, &["metrics", "j-1", "loss", "--out", &json]).await.code(), Some(73), "it is there");

    // Nobody listens there: what is wrong is said without asking.
    let away = "http://127.0.0.1:1";
    let wrong = run(away, &["metrics", "j-1", "loss", "--out", &path("a.xlsx")]).await;
    assert_eq!(wrong.code(), Some(2), "{}", wrong.stderr());
    assert!(wrong.stderr().contains("none of .csv, .json, .md, .tex, .parquet"), "{}", wrong.stderr());
    assert_eq!(run(away, &["metrics", "j-1", "loss", "--out", &path("nowhere/a.csv")]).await.code(), Some(73));
    assert_eq!(run(away, &["metrics", "j-1", "loss", "--format", "xml"]).await.code(), Some(2));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
}

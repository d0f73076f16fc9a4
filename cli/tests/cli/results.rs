use std::fs;

use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, Job, JobState, Progress, Scalar, Series, ShowResponse, Submission};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

const CSV: &str = "radius,paper,all\n0.0,0.0,30.0\n0.5,60.0,72.0\n1.0,100.0,95.0\n";

fn finished(name: &str, stage: &str, spec: &str, accuracy: f64) -> Job {
    Job {
        stage: stage.to_owned(),
        spec_json: format!("{{\"stage\": {spec}}}"),
        results: vec![Scalar { name: "test_accuracy".to_owned(), value: accuracy }],
        ..job(name, JobState::Succeeded)
    }
}

#[tokio::test]
async fn a_table_as_in_the_paper() {
    let jobs = vec![
        finished("linear[label_fraction=1.0]", "linear", r#"{"label_fraction": 1.0}"#, 0.7479),
        finished("linear[label_fraction=0.1]", "linear", r#"{"label_fraction": 0.1}"#, 0.7083),
        finished("supervised[label_fraction=1.0]", "supervised", r#"{"label_fraction": 1.0}"#, 0.9393),
    ];
    let (server, _) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    let table = run(&server, &["results", "table1", "--table"]).await;
    assert_eq!(table.code(), Some(0), "{}", table.stderr());
    let lines: Vec<Vec<&str>> = table.stdout().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["LABELS", "SUPERVISED", "CONTRASTIVE"]);
    assert_eq!(lines[1], ["100", "%", "93.93", "%", "74.79", "%"]);
    assert_eq!(lines[2], ["10", "%", "-", "70.83", "%"]);

    let json = run(&server, &["results", "table1", "--table", "label_fraction", "--json"]).await.json();
    assert_eq!(json["key"], "label_fraction");
    assert_eq!(json["columns"], serde_json::json!(["supervised", "contrastive"]));
    assert_eq!(json["rows"][1]["value"], 0.1);
    assert_eq!(json["rows"][1]["cells"][0], serde_json::Value::Null);
    assert_eq!(json["rows"][1]["cells"][1]["test_accuracy"], 0.7083);
    assert_eq!(json["rows"][1]["cells"][1]["jobs"][0], "linear[label_fraction=0.1]");

    let wrong = run(&server, &["results", "table1", "--table", "depth"]).await;
    assert_eq!(wrong.code(), Some(66));
    assert!(wrong.stderr().contains("no job has a key `depth`"), "{}", wrong.stderr());
}

fn attacks(csv: &str) -> Script {
    let mut supervised = finished("supervised[tikhonov.lambda=10]", "supervised", "{}", 0.9);
    supervised.results.clear();
    let attack = |from: &str, lambda: u32| Job {
        stage: "attack".to_owned(),
        spec_json: r#"{"stage": {"attack": "plb", "norm": "l2"}}"#.to_owned(),
        depends_on: vec![supervised.id.clone()],
        ..job(&format!("plb[from={from},tikhonov.lambda={lambda}]"), JobState::Succeeded)
    };
    let artifact = Artifact {
        id: "a-1".to_owned(),
        kind: "curve".to_owned(),
        name: "curve.csv".to_owned(),
        bytes: csv.len() as u64,
        sha256: hex::encode(Sha256::digest(CSV)),
        ..Artifact::default()
    };
    let jobs = vec![attack("supervised", 10), attack("supervised", 0), supervised];
    let shown = ShowResponse { artifacts: vec![artifact], ..ShowResponse::default() };
    Script { jobs, shown, chunks: vec![csv.as_bytes().to_vec()], ..Script::default() }
}

#[tokio::test]
async fn attacks_are_drawn_by_radius() {
    let (server, _) = Coordinator::start(attacks(CSV)).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("figure2.svg");
    let args = ["results", "figure2", "--plot", file.to_str().unwrap()];
    let plot = run(&server, &args).await;
    assert_eq!(plot.code(), Some(0), "{}", plot.stderr());
    let svg = fs::read_to_string(&file).unwrap();
    for part in ["PLB (l2)", "supervised, λ = 10", "supervised, λ = 0", "% of all images", "l2 distance"] {
        assert!(svg.contains(part), "{part}");
    }
    let paper = run(&server, &[&args[..], &["--convention", "paper", "--force"]].concat()).await;
    assert_eq!(paper.code(), Some(0), "{}", paper.stderr());
    assert!(fs::read_to_string(&file).unwrap().contains("% of the images that fell"));
}

#[tokio::test]
async fn a_damaged_curve_is_not_drawn() {
    let (server, _) = Coordinator::start(attacks(&CSV[..30])).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("figure2.svg");
    let plot = run(&server, &["results", "figure2", "--plot", file.to_str().unwrap()]).await;
    assert_eq!(plot.code(), Some(74), "{}", plot.stderr());
    assert!(plot.stderr().contains("curve.csv is damaged") && !file.exists(), "{}", plot.stderr());
}

#[tokio::test]
async fn layers_are_drawn_without_being_asked_for() {
    let encoder = Job { id: "j-1".to_owned(), ..job("layers", JobState::Succeeded) };
    let series = |name: &str| Series {
        job_id: "j-1".to_owned(),
        name: name.to_owned(),
        steps: vec![0, 10],
        values: vec![5.5, 5.0],
        ..Series::default()
    };
    let series = vec![series("loss"), series("loss_layer1"), series("loss_layer4"), series("lr")];
    let (server, _) = Coordinator::start(Script { jobs: vec![encoder], series, ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("layers.svg");
    let plot = run(&server, &["results", "layerwise", "--plot", file.to_str().unwrap()]).await;
    assert_eq!(plot.code(), Some(0), "{}", plot.stderr());
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.contains("loss by layer") && svg.contains("layers, layer 4") && !svg.contains(">lr<"));
}

#[tokio::test]
async fn the_best_by_a_result_that_nobody_has_is_an_error() {
    let (server, _) =
        Coordinator::start(Script { jobs: vec![finished("a", "linear", "{}", 0.5)], ..Script::default() }).await;
    assert_eq!(run(&server, &["results", "--best", "test_accuracy"]).await.code(), Some(0));
    let results = run(&server, &["results", "--best", "test_acuracy"]).await;
    assert_eq!((results.code(), results.stdout()), (Some(66), ""));
    assert!(results.stderr().contains("did you mean `test_accuracy`"), "{}", results.stderr());
}

#[tokio::test]
async fn a_name_leads_to_the_newest_with_results_and_says_which_others_there_are() {
    let named =
        |id: &str, owner: &str| Submission { id: id.to_owned(), name: "low".to_owned(), owner: owner.to_owned() };
    let jobs = vec![
        finished("linear[label_fraction=1.0]", "linear", r#"{"label_fraction": 1.0}"#, 0.5),
        finished("linear[label_fraction=0.1]", "linear", r#"{"label_fraction": 0.1}"#, 0.4),
    ];
    let namesakes = vec![named("1234567890", "ann"), named("abcdefabcdef", "bob")];
    let (server, script) = Coordinator::start(Script { jobs, namesakes, ..Script::default() }).await;
    let shown = run(&server, &["results", "low"]).await;
    assert_eq!(shown.code(), Some(0), "{}", shown.stderr());
    assert_eq!(shown.stderr(), "`low` is the newest of this name; others: 12345678 of ann, abcdefab of bob\n");

    {
        let mut script = script.lock().unwrap();
        (script.has_no_results, script.older) = (true, Some(named("1234567890", "ann")));
    }
    for more in [&[][..], &["--table"]] {
        let shown = run(&server, &[&["results", "low"], more].concat()).await;
        assert_eq!(shown.code(), Some(0), "{}", shown.stderr());
        assert!(
            shown.stderr().starts_with("`low` has no results yet; these are of 12345678 of ann"),
            "{}",
            shown.stderr()
        );
        assert!(shown.stdout().contains("50.0"), "{}", shown.stdout());
    }
}

#[tokio::test]
async fn a_picture_is_what_its_name_says_and_is_refused_before_anything_is_asked() {
    let encoder = Job { id: "j-1".to_owned(), ..job("encoder", JobState::Running) };
    let series = vec![curve("j-1", "loss", &[5.5, 5.0])];
    let (server, _) = Coordinator::start(Script { jobs: vec![encoder], series, ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    for (name, begins) in [("a.svg", &b"<svg"[..]), ("b.PNG", b"\x89PNG"), ("c.pdf", b"%PDF-")] {
        let file = dir.path().join(name);
        let plot = run(&server, &["results", "x", "--plot", file.to_str().unwrap()]).await;
        assert_eq!(plot.code(), Some(0), "{}", plot.stderr());
        assert!(fs::read(&file).unwrap().starts_with(begins), "{name}");
    }
    // Nobody listens there: what is wrong is said without asking.
    let away = "http://127.0.0.1:1";
    for name in ["loss.jpg", "loss", "loss.svg.gz"] {
        let file = dir.path().join(name);
        let plot = run(away, &["results", "x", "--plot", file.to_str().unwrap()]).await;
        assert_eq!(plot.code(), Some(2), "{}", plot.stderr());
        assert!(plot.stderr().contains("ends with one of .svg, .png, .pdf") && !file.exists(), "{}", plot.stderr());
    }
    let nowhere = dir.path().join("nowhere/loss.svg");
    let plot = run(away, &["results", "x", "--plot", nowhere.to_str().unwrap()]).await;
    assert_eq!(plot.code(), Some(73), "{}", plot.stderr());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing else is left");
}

fn curve(job: &str, name: &str, values: &[f64]) -> Series {
    Series {
        job_id: job.to_owned(),
        job_name: "encoder".to_owned(),
        name: name.to_owned(),
        steps: (0..values.len() as u64).map(|step| 10 * step).collect(),
        values: values.to_vec(),
        ..Series::default()
    }
}

#[tokio::test]
async fn seeds_are_drawn_together_and_metrics_that_nobody_has_are_told_what_there_is() {
    let of = |id: &str, name: &str| {
        let metrics = vec![Scalar { name: "loss_layer1".to_owned(), value: 1.0 }];
        let progress = Some(Progress { metrics, ..Progress::default() });
        Job { id: id.to_owned(), stage: "contrastive".to_owned(), progress, ..job(name, JobState::Failed) }
    };
    let jobs = vec![of("a", "e[lr=1,seed=1]"), of("b", "e[lr=1,seed=2]"), of("c", "e[lr=2,seed=1]")];
    let series = ["a", "b", "c"].map(|id| curve(id, "loss", &[5.5, 5.0])).to_vec();
    let (server, _) = Coordinator::start(Script { jobs, series, ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seeds.svg");
    let args = ["results", "x", "--plot", file.to_str().unwrap(), "--force"];
    let drawn = run(&server, &args).await;
    assert_eq!(drawn.code(), Some(0), "{}", drawn.stderr());
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.contains("lr = 1 (mean of 2)\n") && svg.contains("lr = 2\n"), "{svg}");
    assert_eq!(run(&server, &[&args[..], &["--each-seed"]].concat()).await.code(), Some(0));
    assert!(fs::read_to_string(&file).unwrap().contains("lr = 1, seed 2\n"));
    let wrong = run(&server, &[&args[..], &["--metric", "layer1_loss"]].concat()).await;
    assert_eq!(wrong.code(), Some(66));
    assert!(
        wrong.stderr().contains("has values of layer1_loss that can be drawn; they have loss_layer1"),
        "{}",
        wrong.stderr()
    );
    let one = run(&server, &[&args[..], &["--metric", "loss,los"]].concat()).await;
    assert!(one.code() == Some(66) && one.stderr().contains("has values of los that"), "{}", one.stderr());
    let zoom = run(&server, &[&args[..], &["--log", "--range", "loss=1..100"]].concat()).await;
    assert_eq!(zoom.code(), Some(0), "{}", zoom.stderr());
    assert!(fs::read_to_string(&file).unwrap().contains("100\n"));
    assert_eq!(run(&server, &[&args[..], &["--range", "6..4"]].concat()).await.code(), Some(2));
}

#[tokio::test]
async fn a_table_is_drawn_as_bars() {
    let jobs = vec![
        finished("supervised[label_fraction=1.0,seed=1]", "supervised", r#"{"label_fraction": 1.0}"#, 0.9),
        finished("supervised[label_fraction=1.0,seed=2]", "supervised", r#"{"label_fraction": 1.0}"#, 0.94),
        finished("linear[label_fraction=0.1,seed=1]", "linear", r#"{"label_fraction": 0.1}"#, 0.7083),
    ];
    let (server, _) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("table1.svg");
    let drawn = run(&server, &["results", "table1", "--table", "--plot", file.to_str().unwrap()]).await;
    assert_eq!(drawn.code(), Some(0), "{}", drawn.stderr());
    assert!(drawn.stdout().contains("LABELS"), "the table is shown, too: {}", drawn.stdout());
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.contains("100 %: supervised 92.00 % ± 2.83 %; 10 %: contrastive 70.83 %"), "{svg}");
}

#[tokio::test]
async fn without_results_it_is_said_what_became_of_the_jobs() {
    let jobs = vec![job("a", JobState::Failed), job("b", JobState::Cancelled), job("c", JobState::Cancelled)];
    let script = Script { jobs, has_no_results: true, ..Script::default() };
    let (server, _) = Coordinator::start(script).await;
    let results = run(&server, &["results", "cifar10-cpu"]).await;
    assert_eq!((results.code(), results.stdout()), (Some(0), ""));
    let said = "no results: 1 failed, 2 cancelled; see tandem show cifar10-cpu";
    assert!(results.stderr().contains(said), "{}", results.stderr());
}

#[tokio::test]
async fn what_runs_or_has_failed_is_drawn_in_the_order_of_the_file() {
    let of = |name: &str, state| Job { stage: "contrastive".to_owned(), id: name.to_owned(), ..job(name, state) };
    let jobs = vec![of("first", JobState::Running), of("second", JobState::Failed)];
    let series = |job: &str| Series {
        job_id: job.to_owned(),
        name: "loss".to_owned(),
        steps: vec![0, 10],
        values: vec![5.5, 5.0],
        ..Series::default()
    };
    let series = vec![series("first"), series("second")];
    let (server, _) = Coordinator::start(Script { jobs, series, ..Script::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("live.svg");
    let plot = run(&server, &["results", "live", "--plot", file.to_str().unwrap()]).await;
    assert_eq!(plot.code(), Some(0), "{}", plot.stderr());
    let svg = fs::read_to_string(&file).unwrap();
    let place = |name: &str| svg.find(&format!("{name}\n</text>")).unwrap_or_else(|| panic!("{name}: {svg}"));
    assert!(place("first") < place("second"));
}

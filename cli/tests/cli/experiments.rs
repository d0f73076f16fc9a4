//! Experiments as they are found again: listed, meant where nobody is named, completed in a shell.

use tandem_proto::v1::{ExperimentSummary, Job, JobState, Progress, Scalar, Series, ShowResponse, WatchResponse};

use crate::{
    Run,
    coordinator::{Coordinator, Script, job},
    run, tandem,
};

fn experiment(name: &str) -> ExperimentSummary {
    ExperimentSummary {
        id: format!("0199a1b2-{name}"),
        name: name.to_owned(),
        owner: "ann".to_owned(),
        succeeded: 9,
        running: 3,
        best: Some(Scalar { name: "test_accuracy".to_owned(), value: 0.9393 }),
        best_job: "linear[seed=1]".to_owned(),
        ..ExperimentSummary::default()
    }
}

#[tokio::test]
async fn experiments_are_listed_with_how_far_they_are() {
    let (server, script) =
        Coordinator::start(Script { experiments: vec![experiment("table1")], ..Script::default() }).await;
    let list = run(&server, &["list", "--experiments", "--owner", "ann", "--limit", "7"]).await;
    assert_eq!(list.code(), Some(0), "{}", list.stderr());
    for part in ["table1", "ann", "9/12", "3 running", "test 93.9 % of linear[seed=1]"] {
        assert!(list.stdout().contains(part), "{part} in {}", list.stdout());
    }
    let json = run(&server, &["list", "--experiments", "--mine", "--json"]).await.json();
    let one = &json["experiments"][0];
    assert_eq!((one["name"].as_str(), one["best"]["value"].as_f64()), (Some("table1"), Some(0.9393)), "{json}");
    let asked = script.lock().unwrap().experiments_asked.clone();
    assert_eq!(
        (asked[0].owner.as_str(), asked[0].limit, asked[0].mine, asked[1].mine),
        ("ann", 8, false, true),
        "one more tells that it is cut"
    );
}

#[tokio::test]
async fn where_nobody_is_named_ones_newest_is_meant() {
    let watches = [vec![WatchResponse { jobs: vec![job("encoder", JobState::Succeeded)], done: true }]];
    let script = Script { experiments: vec![experiment("table1")], watches: watches.into(), ..Script::default() };
    let (server, script) = Coordinator::start(script).await;
    for args in [&["watch"][..], &["logs"]] {
        let answer = run(&server, args).await;
        assert_eq!(answer.code(), Some(0), "{args:?}: {}", answer.stderr());
        assert!(answer.stderr().contains("table1 (0199a1b2), your newest"), "{}", answer.stderr());
    }
    assert!(script.lock().unwrap().experiments_asked.iter().all(|asked| asked.mine && asked.limit == 1));
    script.lock().unwrap().experiments.clear();
    let nothing = run(&server, &["watch"]).await;
    assert_eq!(nothing.code(), Some(66));
    assert!(nothing.stderr().contains("submitted nothing here yet"), "{}", nothing.stderr());
}

/// What fish shows for these words.
async fn completed(server: &str, words: &[&str]) -> Run {
    let mut command = tandem(server, &[&["--", "tandem"], words].concat());
    Run(command.env("TANDEM_COMPLETE", "fish").output().await.unwrap())
}

#[tokio::test]
async fn a_shell_completes_names_of_now() {
    let script = Script {
        experiments: vec![experiment("table1"), experiment("table2"), experiment("table1"), experiment("a b\u{1b}[2J")],
        jobs: vec![job("encoder", JobState::Running)],
        ..Script::default()
    };
    let (server, _) = Coordinator::start(script).await;
    for command in ["show", "watch", "logs", "cancel", "results", "fetch"] {
        let shown = completed(&server, &[command, "ta"]).await;
        assert_eq!(shown.stdout().lines().collect::<Vec<_>>(), ["table1\tof ann, 9/12", "table2\tof ann, 9/12"]);
        assert_eq!(shown.stderr(), "");
    }
    assert_eq!(completed(&server, &["show", "table1/"]).await.stdout().trim(), "table1/encoder");
    let evil = completed(&server, &["show", "a"]).await;
    assert!(!evil.stdout().contains("a b"), "{}", evil.stdout());
    // Who cannot be asked completes nothing, and says nothing.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = completed(&format!("http://127.0.0.1:{port}"), &["show", "ta"]).await;
    assert_eq!((nobody.code(), nobody.stdout(), nobody.stderr()), (Some(0), "", ""));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let registered = run(&server, &["completions", shell]).await;
        assert!(registered.stdout().contains("TANDEM_COMPLETE"), "{shell}: {}", registered.stdout());
    }
}

#[tokio::test]
async fn a_running_job_is_shown_with_its_curve_and_the_names_of_its_inputs() {
    let encoder = job("encoder", JobState::Succeeded);
    let progress = Progress { metrics: vec![Scalar { name: "loss".to_owned(), value: 4.5 }], ..Progress::default() };
    let linear = Job {
        depends_on: vec![encoder.id.clone(), "0199ffff-1111".to_owned()],
        progress: Some(progress),
        ..job("linear", JobState::Failed)
    };
    let series = Series {
        job_id: linear.id.clone(),
        name: "loss".to_owned(),
        steps: vec![0, 1, 2],
        values: vec![5.5, 5.0, 4.5],
        ..Series::default()
    };
    let script = Script {
        shown: ShowResponse { jobs: vec![linear.clone()], ..ShowResponse::default() },
        jobs: vec![encoder, linear],
        series: vec![series],
        ..Script::default()
    };
    let (server, _) = Coordinator::start(script).await;
    let show = run(&server, &["show", "linear"]).await;
    assert_eq!(show.code(), Some(0), "{}", show.stderr());
    assert!(show.stdout().contains("starts from  encoder, 0199ffff\n"), "{}", show.stdout());
    assert!(show.stdout().contains("\nCurves\nloss  █▅▁"), "{}", show.stdout());
    assert!(show.stdout().contains("5.500 to 4.500"), "{}", show.stdout());
}

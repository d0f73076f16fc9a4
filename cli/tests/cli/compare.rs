//! `tandem compare` as a person runs it.

use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, Job, JobState, ReceiptResponse, Scalar, ShowResponse};

use crate::{
    Run,
    coordinator::{Coordinator, Script, job},
    receipt::{House, receipt},
    run,
};

/// Two experiments of three seeds: a temperature is another, and so is the device.
struct Two {
    script: Script,
    house: House,
}

impl Two {
    fn new() -> Self {
        let mut two = Self { script: Script::default(), house: House::new() };
        for (experiment, temperature, device, accuracies, wrong) in [
            ("before", 0.5, "a processor", [0.70, 0.72, 0.71], "1100000000"),
            ("after", 0.2, "NVIDIA H200", [0.75, 0.77, 0.76], "0000000010"),
        ] {
            let encoder = Job {
                spec_json: format!(
                    r#"{{"dataset": "folder:cats", "seed": 1, "stage": {{"temperature": {temperature}}}}}"#
                ),
                results: scalars(&[("knn_accuracy", 0.5)]),
                ..two.job(experiment, "encoder", "contrastive")
            };
            let mut jobs = vec![encoder.clone()];
            for (seed, accuracy) in (1..).zip(accuracies) {
                let linear = Job {
                    spec_json: format!(
                        r#"{{"dataset": "folder:cats", "seed": {seed}, "stage": {{"label_fraction": 0.1}}}}"#
                    ),
                    depends_on: vec![encoder.id.clone()],
                    results: scalars(&[("test_accuracy", accuracy), ("labels", 100.0)]),
                    ..two.job(experiment, &format!("linear[label_fraction=0.1,seed={seed}]"), "linear")
                };
                two.predicts(&linear, wrong);
                jobs.push(linear);
            }
            for job in &jobs {
                let says = two.receipt(device);
                two.script.receipt_of.insert(job.id.clone(), says);
            }
            two.script.listed_of.insert(jobs[0].experiment_id.clone(), jobs.clone());
            two.script.listed_of.insert(format!("{experiment}/one"), vec![jobs[1].clone()]);
            two.script.listed_of.insert(experiment.to_owned(), jobs);
        }
        two
    }

    fn job(&self, experiment: &str, name: &str, stage: &str) -> Job {
        Job {
            id: format!("{}-{}", &experiment[..1], name.chars().filter(char::is_ascii_digit).collect::<String>()),
            experiment_id: format!("id of {experiment}"),
            experiment_name: experiment.to_owned(),
            stage: stage.to_owned(),
            ..job(name, JobState::Succeeded)
        }
    }

    fn receipt(&self, device: &str) -> ReceiptResponse {
        let mut receipt = receipt();
        for rank in receipt.attempts.iter_mut().flat_map(|attempt| &mut attempt.ranks) {
            rank.environment.iter_mut().for_each(|environment| environment.device.name = device.to_owned());
        }
        self.house.says(receipt)
    }

    /// Which of the test images it is wrong about.
    fn predicts(&mut self, job: &Job, wrong: &str) {
        let rows = wrong.chars().enumerate().map(|(image, wrong)| format!("{image},0,{wrong}\n"));
        let csv = format!("image,label,prediction\n{}", rows.collect::<String>());
        let artifact = Artifact {
            id: format!("predictions of {}", job.id),
            kind: "predictions".to_owned(),
            name: "predictions.csv".to_owned(),
            bytes: csv.len() as u64,
            sha256: hex::encode(Sha256::digest(&csv)),
            ..Artifact::default()
        };
        self.script.bytes_of.insert(artifact.id.clone(), csv.into_bytes());
        let shown = ShowResponse { jobs: vec![job.clone()], artifacts: vec![artifact], ..ShowResponse::default() };
        self.script.shown_of.insert(job.id.clone(), shown);
    }
}

fn scalars(results: &[(&str, f64)]) -> Vec<Scalar> {
    results.iter().map(|(name, value)| Scalar { name: (*name).to_owned(), value: *value }).collect()
}

async fn compared(script: Script, args: &[&str]) -> Run {
    let (server, _) = Coordinator::start(script).await;
    run(&server, args).await
}

#[tokio::test]
async fn two_experiments_job_by_job_over_their_seeds() {
    let made = compared(Two::new().script, &["compare", "before", "after"]).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr());
    let lines: Vec<String> =
        made.stdout().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "A before: 4 jobs of before (id of be)",
        "linear[label_fraction=0.1]",
        "encoder: temperature A 0.5",
        "B 0.2",
        "device (environment) A a processor",
        "test_accuracy A 3 71.00 % 1.00 % 68.52 .. 73.48 %",
        "B 3 76.00 % 1.00 % 73.52 .. 78.48 %",
        // Equal spreads: Welch's degrees of freedom are 4, and t is 2.776445.
        "B - A +5.00 points +2.73 .. +7.27 points",
        "Equal: labels 100",
        "test images, seed 2 A, B 10 1 2 1.0000",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line} in\n{}", made.stdout());
    }
    assert!(made.stdout().lines().all(|line| line.chars().count() <= 80), "{}", made.stdout());
    assert!(
        made.stderr().contains("Student's t over seeds (n)") && made.stderr().contains("McNemar"),
        "{}",
        made.stderr()
    );
}

#[tokio::test]
async fn scripts_and_other_programs_have_the_numbers() {
    let json = compared(Two::new().script, &["--json", "compare", "before", "after"]).await.json();
    let pair =
        json["pairs"].as_array().unwrap().iter().find(|pair| pair["name"] == "linear[label_fraction=0.1]").unwrap();
    assert_eq!(pair["differs"][0]["key"], "encoder: temperature");
    assert_eq!(pair["differs"][0]["values"], serde_json::json!(["0.5", "0.2"]));
    let accuracy = pair["results"].as_array().unwrap().iter().find(|one| one["name"] == "test_accuracy").unwrap();
    assert_eq!(accuracy["of"][0]["n"], 3);
    let low = accuracy["less_first"][1]["interval"]["low"].as_f64().unwrap();
    // scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95).low
    assert!((low - 0.027_330_420_644_724_945).abs() < 1e-9, "{low}");
    assert_eq!((&pair["images"][0]["only_first"], &pair["images"][0]["only_second"]), (&1.into(), &2.into()));
    assert_eq!(pair["images"].as_array().unwrap().len(), 3, "a test for each seed that both have");

    let csv = compared(Two::new().script, &["compare", "before", "after", "--format", "csv"]).await;
    let lines: Vec<&str> = csv.stdout().lines().collect();
    assert!(lines[0].starts_with("jobs,figure,side,n,mean,sd,low,high,difference,"), "{}", csv.stdout());
    assert!(lines.iter().any(|line| line.contains("test_accuracy,B,3,0.76")), "{}", csv.stdout());
    let markdown = compared(Two::new().script, &["compare", "before", "after", "--format", "md"]).await;
    assert!(markdown.stdout().starts_with("| jobs"), "{}", markdown.stdout());
}

#[tokio::test]
async fn a_job_without_its_seed_is_all_its_seeds_and_one_has_no_interval() {
    let args = ["compare", "before/linear[label_fraction=0.1]", "after/one"];
    let made = compared(Two::new().script, &args).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr());
    let text = made.stdout();
    assert!(
        text.contains("A  before/linear[label_fraction=0.1]: 3 jobs") && text.contains("B  after/one: 1 job of"),
        "{text}"
    );
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(
        lines.contains(&"B 1 75.00 % - -".to_owned()) && lines.contains(&"B - A +4.00 points -".to_owned()),
        "{text}"
    );
    // What it starts from is found, although it was not named.
    assert!(lines.contains(&"encoder: temperature A 0.5".to_owned()), "{text}");
}

#[tokio::test]
async fn other_images_are_not_compared_one_by_one() {
    let mut two = Two::new();
    let id = "a-011";
    let mut other = receipt();
    other.images = Some("ffff".to_owned());
    let says = two.house.says(other);
    two.script.receipt_of.insert(id.to_owned(), says);
    let made = compared(two.script, &["compare", "before/one", "after/one"]).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr());
    let text = made.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("no test by images of A and B: the images are not the same: two versions of folder:cats"),
        "{text}"
    );
    assert!(text.contains("images (data) A folder:cats, images cd34 B folder:cats, images ffff"), "{text}");
    assert!(!text.contains("RIGHT ON"), "{text}");

    let mut two = Two::new();
    two.script.receipt_of.clear();
    two.script.shown_of.clear();
    let made = compared(two.script, &["compare", "before/one", "after/one"]).await;
    let text = made.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("environment and data are not known of one: it has no receipt"), "{text}");
    assert!(text.contains("has left no verdicts"), "{text}");
}

#[tokio::test]
async fn what_has_nothing_in_common_is_refused() {
    let mut two = Two::new();
    let after = two.script.listed_of.get_mut("after").unwrap();
    after.iter_mut().for_each(|job| job.name = job.name.replace("linear", "probe").replace("encoder", "net"));
    let made = compared(two.script, &["compare", "before", "after"]).await;
    assert_eq!(made.code(), Some(66), "{}", made.stdout());
    assert!(made.stderr().contains("A has encoder, linear[label_fraction=0.1]; B has net"), "{}", made.stderr());
    let alone = compared(Two::new().script, &["compare", "before"]).await;
    assert_eq!(alone.code(), Some(2));
    let nobody = compared(Two::new().script, &["compare", "before", "nothing/here"]).await;
    assert_eq!(nobody.code(), Some(66), "{}", nobody.stderr());
    assert!(nobody.stderr().contains("no job or experiment `nothing/here`"), "{}", nobody.stderr());
}

//! What was measured, reported and compared: every number of a report is one that `tandem results` has, and verdicts on images add up to
//! the accuracies that were reported.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::Cluster;

const MINUTES: Duration = Duration::from_secs(900);
/// Test images of `shapes`.
const IMAGES: f64 = 2000.0;
const ATTACKED: f64 = 24.0;

fn experiment() -> &'static str {
    r#"
name = "small"
dataset = "shapes"
seed = 1
workers = 1
shards = 1

[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = 1
batch_size = 500
head = { hidden = 64, output = 32 }
optimizer = { name = "sgd", lr = 0.1, warmup_epochs = 0 }
monitor = { bank = 128, neighbours = 10 }

[jobs.linear]
stage = "linear"
from = "encoder"
epochs = 20
ridge = 1e-3
[jobs.linear.sweep]
label_fraction = [1.0, 0.1]

[jobs.supervised]
stage = "supervised"
encoder = "resnet-tiny"
steps = 12
batch_size = 64
label_fraction = 0.1
validation = 0.0
[jobs.supervised.sweep]
seed = [1, 2]

[jobs.penalised]
stage = "supervised"
encoder = "resnet-tiny"
steps = 4
batch_size = 32
validation = 0.0
tikhonov = { lambda = 0.1, method = "exact" }

[jobs.pgd]
stage = "attack"
from = ["linear"]
attack = "pgd"
norm = "l2"
steps = 3
images = 24
radii = [0.25, 1.0]
pictures = 0
"#
}

fn result(job: &Value, name: &str) -> Option<f64> {
    let results = job["results"].as_array().into_iter().flatten();
    // As an object or as a list: whichever `--json` has.
    job["results"][name]
        .as_f64()
        .or_else(|| results.into_iter().find(|one| one["name"] == name).and_then(|one| one["value"].as_f64()))
}

#[test]
fn a_report_has_the_numbers_of_results_and_a_comparison_adds_up_to_them() -> Result<()> {
    let cluster = Cluster::start(2)?;
    let id = cluster.submit(experiment())?;
    cluster.wait_succeeded(&id, MINUTES);
    let listed = cluster.json(&["results", "small", "--limit", "100"])?;
    let jobs = listed["jobs"].as_array().context("no jobs")?;
    assert_eq!(jobs.len(), 8, "{listed:#}");

    let file = cluster.folder().join("small.html");
    let made = cluster.tandem(&["report", "small", "--out", &file.to_string_lossy()], "");
    assert_eq!(made.code, 0, "{made:#?}");
    let page = fs::read_to_string(&file)?;
    let markdown = cluster.tandem(&["report", &id, "--out", "-", "--format", "md"], "");
    assert_eq!(markdown.code, 0, "{markdown:#?}");
    for part in [
        "Table 1: ",
        "Table 2: ",
        "Figure 2: ",
        "Learning curves",
        "ours: PGD (l2)",
        "shapes",
        "not measured",
        "libtorch",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for job in jobs {
        let (name, short) = (job["name"].as_str().context("a name")?, job["id"].as_str().context("an id")?);
        assert!(page.contains(name) && page.contains(&short[..8]), "{name}");
        // Of the two seeds the mean stands there.
        let is_alone = !name.starts_with("supervised");
        for figure in ["test_accuracy", "knn_accuracy", "clean_error"] {
            if let Some(value) = result(job, figure).filter(|_| is_alone) {
                let shown = format!("{:.2} %", 100.0 * value);
                assert!(page.contains(&shown) && markdown.stdout.contains(&shown), "{figure} of {name}: {shown}");
            }
        }
    }
    let of_seeds: Vec<f64> = jobs
        .iter()
        .filter(|job| job["name"].as_str().is_some_and(|name| name.starts_with("supervised")))
        .filter_map(|job| result(job, "test_accuracy"))
        .collect();
    let [one, other] = of_seeds.as_slice() else { panic!("{of_seeds:?}") };
    let (mean, sd) = ((one + other) / 2.0, (one - other).abs() / 2f64.sqrt());
    assert!(page.contains(&format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * sd)), "{mean} {sd}");
    let again = cluster.tandem(&["report", "small", "--out", &file.to_string_lossy()], "");
    assert_eq!((again.code, fs::read_to_string(&file)?), (73, page), "{again:#?}");

    // Two classifiers of one encoder, on the same images.
    let [a, b] = ["1.0", "0.1"].map(|share| format!("small/linear[label_fraction={share}]"));
    let pair = cluster.json(&["compare", &a, &b])?["pairs"][0].clone();
    assert_eq!(pair["differs"][0]["key"], "label_fraction", "{pair:#}");
    let test = &pair["images"][0];
    assert_eq!(test["what"], "test images", "{pair:#}");
    let count = |name: &str| test[name].as_f64().unwrap_or(f64::NAN);
    let accuracy =
        |name: &str| result(&cluster.job(&id, name).unwrap_or_default(), "test_accuracy").unwrap_or(f64::NAN);
    assert_eq!(count("both") + count("only_first"), (accuracy("linear[label_fraction=1.0]") * IMAGES).round());
    assert_eq!(count("both") + count("only_second"), (accuracy("linear[label_fraction=0.1]") * IMAGES).round());
    assert_eq!(count("both") + count("only_first") + count("only_second") + count("neither"), IMAGES);

    // And the attacks on both.
    let attack = |share: &str| {
        let names = jobs.iter().filter_map(|job| job["name"].as_str());
        let found =
            names.into_iter().find(|name| name.starts_with("pgd[") && name.contains(&format!("fraction={share}")));
        found.map(str::to_owned).with_context(|| format!("no attack at {share}"))
    };
    let (a, b) = (attack("1.0")?, attack("0.1")?);
    let pair = cluster.json(&["compare", &format!("small/{a}"), &format!("small/{b}")])?["pairs"][0].clone();
    let tests = pair["images"].as_array().context("no tests")?;
    let whats: Vec<&str> = tests.iter().filter_map(|test| test["what"].as_str()).collect();
    assert_eq!(whats, ["not attacked", "l2 within 0.25", "l2 within 1"], "{pair:#}");
    let first = cluster.job(&id, &a)?;
    for (test, figure) in tests.iter().zip(["clean_error", "misclassified_at_0.25", "misclassified_at_1"]) {
        let right = test["both"].as_f64().context("a count")? + test["only_first"].as_f64().context("a count")?;
        let wrong = result(&first, figure).context(figure)?;
        assert_eq!(right, ((1.0 - wrong) * ATTACKED).round(), "{figure}: {test:#}");
    }

    // Of two seeds of synthetic images each has its own.
    let seeds = cluster.json(&["compare", "small/supervised[seed=1]", "small/supervised[seed=2]"])?["pairs"][0].clone();
    assert_eq!(seeds["images"].as_array().map(Vec::len), Some(0), "{seeds:#}");
    assert!(
        seeds["remarks"][0].as_str().is_some_and(|said| said.contains("shapes made from seeds 1 and 2")),
        "{seeds:#}"
    );
    Ok(())
}

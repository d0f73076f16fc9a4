//! Every experiment of the paper, small, submitted as a user would: regularised and layer-by-layer pretraining, linear
//! stage, fine-tuning, the supervised baseline, attacks on all three, and their figures.

use std::time::Duration;

use anyhow::Context;
use tandem_harness::{Cluster, small_experiment};

const MINUTES: Duration = Duration::from_secs(400);

fn experiment() -> String {
    // Small: it shows that every stage runs, not how well it learns.
    let encoder = small_experiment("paper", 2, 2);
    format!(
        r#"{encoder}
[jobs.linear.sweep]
label_fraction = [1.0, 0.5]

[jobs.penalised]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = 1
batch_size = 64
optimizer = {{ name = "adam", lr = 1e-3, warmup_epochs = 0 }}
layerwise = {{ ratio = 10, beta_ratio = 10 }}
tikhonov = {{ lambda = 0.1 }}
monitor = {{ bank = 128, neighbours = 10 }}

[jobs.finetune]
stage = "finetune"
from = "encoder"
steps = 8
head_epochs = 1
precision = "bf16"

[jobs.supervised]
stage = "supervised"
encoder = "resnet-tiny"
steps = 8
batch_size = 32
batch_norm = "global"
tikhonov = {{ lambda = 0.1, method = "finite-difference" }}

[jobs.attack]
stage = "attack"
from = ["linear", "finetune", "supervised"]
where = {{ label_fraction = 1.0 }}
attack = "pgd"
norm = "l2"
steps = 5
images = 24
pictures = 2
radii = [0.25, 1, 4, 16]
"#
    )
}

#[test]
fn every_stage_of_the_paper_runs_from_submit_to_its_figures() -> anyhow::Result<()> {
    let cluster = Cluster::start(2)?;
    let id = cluster.submit(&experiment())?;
    cluster.wait_succeeded(&id, MINUTES);

    let results = |job: &str| -> anyhow::Result<serde_json::Value> { Ok(cluster.job(&id, job)?["results"].clone()) };
    let layers = cluster.job(&id, "penalised")?;
    assert!(layers["artifacts"].as_array().is_some_and(|files| files.iter().any(|file| file["kind"] == "encoder")));

    for (model, attack) in [
        ("linear[label_fraction=1.0]", "attack[from=linear,label_fraction=1.0]"),
        ("finetune", "attack[from=finetune]"),
        ("supervised", "attack[from=supervised]"),
    ] {
        results(model)?["test_accuracy"].as_f64().with_context(|| format!("{model} has no test_accuracy"))?;
        let out = cluster.folder().join(model);
        let job = cluster.job(&id, attack)?;
        let job = job["id"].as_str().context("no id")?;
        let fetched = cluster.tandem(&["fetch", job, "--out", &out.to_string_lossy()], "");
        assert_eq!(fetched.code, 0, "{fetched:#?}");
        let text = find(&out, "curve.csv").context("no curve.csv")?;
        let curve: Vec<Vec<f64>> =
            text.lines().skip(1).map(|line| line.split(',').filter_map(|field| field.parse().ok()).collect()).collect();
        let all: Vec<f64> = curve.iter().filter_map(|row| row.last().copied()).collect();
        assert_eq!(all.len(), 5, "{text}");
        assert!(all.is_sorted(), "a curve falls: {text}");
        let clean = results(attack)?["clean_error"].as_f64().context("no clean_error")?;
        assert!((all[0] - 100.0 * clean).abs() < 1e-3, "{text} does not begin at {clean}");
        assert!(all[4] >= 99.0, "an attack of radius 16 leaves images standing: {text}");
    }

    let plot = cluster.folder().join("curves.svg");
    let drawn = cluster.tandem(&["results", &id, "--plot", &plot.to_string_lossy()], "");
    assert_eq!(drawn.code, 0, "{drawn:#?}");
    let table = cluster.tandem(&["results", &id, "--table"], "");
    assert_eq!(table.code, 0, "{table:#?}");
    assert!(table.stdout.lines().any(|line| line.contains("50 %") || line.contains("0.5")), "{table:#?}");
    Ok(())
}

/// The text of a file somewhere below a folder.
fn find(folder: &std::path::Path, name: &str) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() {
            return find(&path, name);
        }
        (path.file_name()? == name).then(|| std::fs::read_to_string(&path).ok())?
    })
}

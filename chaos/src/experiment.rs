//! The experiment that is run: small, but with all three stages, a checkpoint every few seconds, and time for all faults.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tandem_harness::{Binaries, command, run};

/// Whether two runs must agree in the metric or result of that name. Speed, duration and memory differ from run to run.
pub(crate) fn is_deterministic(name: &str) -> bool {
    !matches!(name, "images_per_second" | "peak_memory_bytes" | "seconds") && !name.ends_with("_seconds")
}

/// The experiment's name.
pub(crate) const NAME: &str = "chaos";

/// A smaller experiment has time for this many faults.
const FEW: usize = 6;

/// The experiment file, long enough for so many faults. With `slow` timeouts each fault lasts longer.
pub(crate) fn toml(faults: usize, slow: bool) -> String {
    let (epochs, linear_epochs, attacked) = match (faults <= FEW, slow) {
        (true, false) => (1, 40, 400),
        (true, true) => (1, 100, 400),
        (false, false) => (3, 50, 2000),
        (false, true) => (5, 100, 2000),
    };
    let pgd_steps = if slow { 50 } else { 25 };
    format!(
        r#"name = "{NAME}"
dataset = "shapes"
seed = 7
workers = 2
shards = 2
threads = 1

[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = {epochs}
batch_size = 64
head = {{ hidden = 64, output = 32 }}
optimizer = {{ name = "sgd", lr = 0.1, weight_decay = 5e-4, warmup_epochs = 1 }}
checkpoint_steps = 10
monitor = {{ bank = 256, neighbours = 10 }}

# One rank, a checkpoint at the end of each epoch of 20 steps.
[jobs.linear]
stage = "linear"
from = "encoder"
solver = "sgd"
epochs = {linear_epochs}
label_fraction = 0.2
batch_size = 100

[jobs.pgd]
stage = "attack"
from = "linear"
attack = "pgd"
norm = "l2"
steps = {pgd_steps}
images = {attacked}
batch_size = 20
radii = [0.1, 0.2, 0.3, 0.5]
"#
    )
}

/// Submits the file and returns the experiment's id.
///
/// # Errors
/// When the file is refused.
pub(crate) fn submit(binaries: &Binaries, server: &str, file: &Path) -> Result<String> {
    let mut submit = command(&binaries.tandem);
    let outcome = run(submit.args(["--json", "--server", server, "submit", "--fresh"]).arg(file), "");
    ensure!(outcome.code == 0, "`tandem submit` ended with {}: {}", outcome.code, outcome.stderr.trim());
    let answer: Value = serde_json::from_str(&outcome.stdout).context("`tandem submit --json` printed no JSON")?;
    let id = answer["experiment_id"].as_str().context("`tandem submit --json` named no experiment")?;
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_machine_is_not_compared() {
        assert!(["loss", "knn_accuracy", "misclassified_at_0.1", "steps"].into_iter().all(is_deterministic));
        assert!(!["seconds", "checkpoint_stall_seconds", "images_per_second"].into_iter().any(is_deterministic));
    }

    #[test]
    fn the_coordinator_would_accept_it() {
        for (faults, slow) in [(4, false), (4, true), (30, false), (30, true)] {
            let plan = tandem_domain::plan::plan(&toml(faults, slow), "chaos.toml", "0").unwrap();
            let names: Vec<&str> = plan.jobs.iter().map(|job| job.spec.name.as_str()).collect();
            assert_eq!(names, ["encoder", "linear", "pgd"]);
        }
    }
}

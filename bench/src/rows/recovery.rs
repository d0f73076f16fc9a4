//! From the SIGKILL of one rank of two to the next new step: a house with two workers against torchrun with the equivalent
//! script. New is a step that was not done before the kill: those since the last checkpoint are done again by both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::json;
use tandem_domain::spec::Augment;

use super::Run;
use crate::house::{House, kill};
use crate::interleave::{Pair, costs, interleave, middle};
use crate::local::wait_until;
use crate::process::children;
use crate::row::{Goal, Row, Unit};

const BATCH: u32 = 64;
const CHECKPOINT_STEPS: u32 = 10;
/// Both train, and there is a checkpoint to go on from.
const UNDER_WAY: u64 = 15;
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let house = House::start(&run.bin_dir)?;
    let (mut ours, mut theirs) = (0, 0);
    let pairs = interleave(
        run.pairs,
        || {
            ours += 1;
            our_trial(&house, ours)
        },
        || {
            theirs += 1;
            their_trial(&run.python, theirs)
        },
    )?;
    let seconds = |figure: fn(&Pair) -> f64| middle(&pairs, figure);
    Ok(vec![Row {
        name: "recovery".into(),
        what: "SIGKILL of one of two ranks to the next new step, against torchrun".into(),
        goal: Goal::AtMost(1.0 / 3.0),
        unit: Unit::Times,
        value: costs(&pairs)?,
        void: None,
        note: format!("{:.1} against {:.1} s", seconds(|pair| pair.ours), seconds(|pair| pair.theirs)),
        raw: json!(pairs),
    }])
}

/// Workers of its own: on one on which job after job was lost, no more is placed.
fn our_trial(house: &House, trial: u32) -> Result<f64> {
    let data = house.home().join("data");
    fs::create_dir_all(&data)?;
    let workers = [0, 1].map(|i| house.worker(&format!("trial-{trial}-{i}"), &data));
    let runtime = tokio::runtime::Runtime::new()?;
    let submitted = runtime.block_on(house.submit(experiment(trial)))?;
    let job = &submitted.jobs.first().context("the experiment has one job")?.job_id;
    let under_way = format!("SELECT count(*) FROM metrics WHERE job_id = '{job}' AND name = 'loss'");
    let saved = format!("SELECT count(*) FROM checkpoints WHERE job_id = '{job}'");
    wait_until("our job trains and has a checkpoint", LIMIT, || {
        Ok(house.number(&under_way)? >= UNDER_WAY as f64 && house.number(&saved)? >= 1.0)
    })?;
    let fence = house.number(&format!("SELECT max(fence) FROM attempts WHERE job_id = '{job}'"))?;
    let worker = workers.into_iter().collect::<Result<Vec<_>>>()?;
    let rank = children(worker[trial as usize % 2].id())?;
    let [rank] = rank[..] else { bail!("a worker has {} children, not one rank", rank.len()) };
    let killed_at = now();
    kill(rank, Signal::KILL)?;
    // By the rank's own clock. A step that an earlier attempt did is stored once, with the earlier fence.
    let next = format!("SELECT extract(epoch FROM min(at)) FROM metrics WHERE job_id = '{job}' AND fence > {fence}");
    let mut next_at = String::new();
    wait_until("our job goes on", LIMIT, || {
        next_at = house.psql(&next)?;
        Ok(!next_at.is_empty())
    })?;
    runtime.block_on(house.cancel(job))?;
    let busy = "SELECT count(*) FROM leases WHERE released_at IS NULL";
    wait_until("our job has ended", LIMIT, || Ok(house.number(busy)? == 0.0))?;
    Ok(next_at.parse::<f64>()? - killed_at)
}

fn experiment(seed: u32) -> String {
    format!(
        r#"name = "recovery"
dataset = "shapes"
seed = {seed}
workers = 2
shards = 2
threads = 1

[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = 1000
batch_size = {BATCH}
head = {{ hidden = 128, output = 64 }}
optimizer = {{ name = "sgd", lr = 0.03 }}
checkpoint_steps = {CHECKPOINT_STEPS}
monitor = {{ every_epochs = 0 }}
"#
    )
}

fn their_trial(python: &Path, trial: u32) -> Result<f64> {
    let torchrun = Torchrun::start(python)?;
    let mut steps = Vec::new();
    wait_until("torchrun's script trains", LIMIT, || {
        steps = torchrun.steps()?;
        Ok(steps.last().is_some_and(|(_, step, _)| *step >= UNDER_WAY))
    })?;
    let pid = fs::read_to_string(torchrun.folder.path().join(format!("pid-0-{}", trial % 2)))?;
    let killed_at = now();
    kill(pid.trim().parse()?, Signal::KILL)?;
    let mut next = None;
    wait_until("torchrun's script goes on", LIMIT, || {
        steps = torchrun.steps()?;
        next = next_new(&steps);
        Ok(next.is_some())
    })?;
    next.map(|at| at - killed_at).context("it went on")
}

/// When the first step was done that the first start had not done.
fn next_new(steps: &[(u32, u64, f64)]) -> Option<f64> {
    let before = steps.iter().filter(|(restarts, ..)| *restarts == 0).map(|(_, step, _)| *step).max()?;
    steps.iter().find(|(restarts, step, _)| *restarts > 0 && *step > before).map(|(.., at)| *at)
}

struct Torchrun {
    process: Child,
    folder: tempfile::TempDir,
}

impl Torchrun {
    fn start(python: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (images, augment) = (tandem_learn::data::SHAPES_TRAIN, Augment::default());
        let setup = json!({
            "folder": folder.path(), "batch": BATCH, "images": images, "augment": augment,
            "checkpoint_steps": CHECKPOINT_STEPS,
        });
        let script: PathBuf = crate::folder().join("peers/recovery.py");
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(python);
        command.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3"]);
        command.arg(script).arg(setup.to_string()).env("OMP_NUM_THREADS", "1");
        // At its best: as it comes (2.7.1), restarted ranks find the addresses of the dead ones in the store that all
        // attempts share, and Gloo fails until two more restarts are used up.
        command.env("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().with_context(|| format!("cannot start torchrun by {}", python.display()))?;
        Ok(Self { process, folder })
    }

    /// Restarts so far, step, and when it was done, of every step.
    fn steps(&self) -> Result<Vec<(u32, u64, f64)>> {
        let text = fs::read_to_string(self.folder.path().join("steps")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let step = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [restarts, step, at] = fields[..] else { bail!("the peer wrote {line:?}") };
            Ok((restarts.parse()?, step.parse()?, at.parse()?))
        };
        let steps: Result<Vec<_>> = whole.map(step).collect();
        steps.with_context(|| format!("reading the steps in {}", self.folder.path().display()))
    }
}

impl Drop for Torchrun {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its ranks.
        let ended = kill(self.process.id(), Signal::TERM)
            .and_then(|()| wait_until("torchrun ends", LIMIT, || Ok(self.process.try_wait()?.is_some())));
        if let Err(error) = ended {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Seconds since the epoch, as all three clocks of this row count them.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_done_again_is_not_new() {
        let mut steps = vec![(0, 10, 1.0), (0, 12, 2.0), (1, 11, 9.0), (1, 12, 10.0)];
        assert_eq!(next_new(&steps), None);
        steps.push((1, 13, 11.0));
        assert_eq!(next_new(&steps), Some(11.0));
        assert_eq!(next_new(&[]), None);
    }
}

//! From the SIGKILL of one rank of two to the next new step: two workers of ours against torchrun with the equivalent
//! script. A step is new if it was not done before the kill; both sides first repeat the steps since the last checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tandem_domain::spec::Augment;
use tandem_harness::{Coordinator, children, command_line};

use crate::client::{cancel, submit};
use crate::interleave::{Pair, costs, interleave, median};
use crate::row::{Goal, Row, Unit};
use crate::settings::{Settings, source_folder};
use crate::wait::wait_until;

const BATCH: u32 = 64;
const CHECKPOINT_STEPS: u32 = 10;
/// By this step both ranks train, and there is a checkpoint.
const KILL_STEP: u64 = 15;
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let coordinator = Coordinator::start(&settings.binaries()?)?;
    let (mut ours, mut theirs) = (0, 0);
    let pairs = interleave(
        settings.pairs,
        || {
            ours += 1;
            our_trial(&coordinator, ours)
        },
        || {
            theirs += 1;
            their_trial(&settings.python, theirs)
        },
    )?;
    let seconds = |figure: fn(&Pair) -> f64| median(&pairs, figure);
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

/// Each trial has workers of its own, because a worker on which several jobs were lost gets no more jobs.
fn our_trial(coordinator: &Coordinator, trial: u32) -> Result<f64> {
    let data = coordinator.folder().join("data");
    fs::create_dir_all(&data)?;
    let workers = [0, 1].map(|i| coordinator.start_worker(&format!("trial-{trial}-{i}"), &data));
    let runtime = tokio::runtime::Runtime::new()?;
    let submitted = runtime.block_on(submit(coordinator, experiment(trial)))?;
    let job = &submitted.jobs.first().context("the experiment has one job")?.job_id;
    let database = &coordinator.database;
    let under_way = format!("SELECT count(*) FROM metric_points WHERE job_id = '{job}' AND name = 'loss'");
    let saved = format!("SELECT count(*) FROM checkpoints WHERE job_id = '{job}'");
    wait_until("our job trains and has a checkpoint", LIMIT, || {
        let count = |query: &str| database.value::<i64>(query);
        Ok((count(&under_way)? >= KILL_STEP.cast_signed() && count(&saved)? >= 1).then_some(()))
    })?;
    let fence: i64 = database.value(&format!("SELECT max(fence) FROM attempts WHERE job_id = '{job}'"))?;
    let worker = workers.into_iter().collect::<Result<Vec<_>>>()?;
    // Beside the process that reads the data folder.
    let is_rank = |pid: &i32| command_line(*pid).contains(" rank ");
    let ranks: Vec<i32> = children(worker[trial as usize % 2].pid()).into_iter().filter(is_rank).collect();
    let [rank] = ranks[..] else { bail!("a worker has {} ranks, not one", ranks.len()) };
    let killed_at = now();
    kill(rank, Signal::KILL)?;
    // By the rank's own clock. A step that an earlier attempt did is stored once, with the earlier fence.
    let next = format!(
        "SELECT extract(epoch FROM min(at))::float8 FROM metric_points WHERE job_id = '{job}' AND fence > {fence}"
    );
    let next_at = wait_until("our job goes on", LIMIT, || database.value::<Option<f64>>(&next))?;
    runtime.block_on(cancel(coordinator, job))?;
    let busy = "SELECT count(*) FROM leases WHERE released_at IS NULL";
    wait_until("our job has ended", LIMIT, || Ok((database.value::<i64>(busy)? == 0).then_some(())))?;
    Ok(next_at - killed_at)
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
    wait_until("torchrun's script trains", LIMIT, || {
        let steps = torchrun.steps()?;
        Ok(steps.last().is_some_and(|(_, step, _)| *step >= KILL_STEP).then_some(()))
    })?;
    let pid = fs::read_to_string(torchrun.folder.path().join(format!("pid-0-{}", trial % 2)))?;
    let killed_at = now();
    kill(pid.trim().parse()?, Signal::KILL)?;
    let next_at = wait_until("torchrun's script goes on", LIMIT, || Ok(next_new(&torchrun.steps()?)))?;
    Ok(next_at - killed_at)
}

/// The time of the first step that was not done before the first restart.
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
        let script: PathBuf = source_folder().join("peers/recovery.py");
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(python);
        command.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=3"]);
        command.arg(script).arg(setup.to_string()).env("OMP_NUM_THREADS", "1");
        // Without this setting (PyTorch 2.7.1), restarted ranks find the addresses of the dead ones in the store that all
        // restarts share, and Gloo fails until two more restarts are used up.
        command.env("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().with_context(|| format!("cannot start torchrun by {}", python.display()))?;
        Ok(Self { process, folder })
    }

    /// Of every step: restarts before it, its number, and when it was done.
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
        let ended = kill(self.process.id().cast_signed(), Signal::TERM)
            .and_then(|()| wait_until("torchrun ends", LIMIT, || Ok(self.process.try_wait()?)));
        if let Err(error) = ended {
            eprintln!("warning: {error:#}");
        }
    }
}

fn kill(process: i32, signal: Signal) -> Result<()> {
    let id = Pid::from_raw(process).context("0 is no process")?;
    kill_process(id, signal).with_context(|| format!("cannot send {signal:?} to process {process}"))
}

/// Seconds since the epoch, which all clocks of this row count.
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

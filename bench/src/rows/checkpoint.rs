//! What checkpoints cost training: a run with one every 50 steps against the same run without, the stalls that the run
//! itself reports, and one such stall against a synchronous torch.save of the same state.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::child::Child;
use crate::interleave::{Pair, costs, interleave, median};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{CheckpointReply, CheckpointSetup};
use crate::stats::Summary;

const THREADS: u32 = 2;
const BATCH: u32 = 32;
const EVERY: u32 = 50;
/// A hundred steps with two checkpoints, both completely written within them. The steps before warm up.
const TIMED: (u32, u32) = (10, 110);
/// Calls of torch.save in a block.
const SAVES: u64 = 3;

/// One run with checkpoints, one without, and the other side's saves, one after the other.
#[derive(Clone, Debug, Serialize)]
struct Trial {
    with: CheckpointReply,
    without: CheckpointReply,
    torch_save_seconds: f64,
}

impl Trial {
    fn runs(&self) -> Pair {
        Pair { ours: self.with.seconds, theirs: self.without.seconds }
    }

    fn stall(&self) -> f64 {
        self.with.stall_seconds / self.with.checkpoints as f64
    }
}

#[derive(serde::Deserialize)]
struct SnapshotPeer {
    version: String,
    bytes: u64,
}

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let trials = machine::on_cores(THREADS, || {
        let side = |name: &str, every| start(&folder.path().join(name), every);
        let (mut with, mut without) = (side("with", Some(EVERY))?, side("without", None)?);
        let mut theirs = Child::peer(&settings.python, "snapshot", THREADS)?;
        let peer: SnapshotPeer = theirs.ask(&json!({ "folder": folder.path(), "threads": THREADS }))?;
        let (mut runs_with, mut runs_without, mut saves) = (Vec::new(), Vec::new(), Vec::new());
        interleave(
            settings.pairs,
            || {
                runs_with.push(with.unit::<CheckpointReply>()?.1);
                saves.push(theirs.block(SAVES)? / SAVES as f64);
                Ok(0.0)
            },
            || {
                runs_without.push(without.unit::<CheckpointReply>()?.1);
                Ok(0.0)
            },
        )?;
        let runs = runs_with.into_iter().zip(runs_without).zip(saves);
        let trial = |((with, without), torch_save_seconds)| Trial { with, without, torch_save_seconds };
        Ok((runs.map(trial).collect::<Vec<_>>(), peer))
    });
    let (trials, peer) = trials?;
    rows(&trials, &peer)
}

fn start(folder: &Path, every: Option<u32>) -> Result<Child> {
    let mut child = Child::ours("checkpoint", THREADS)?;
    let (first, last) = TIMED;
    let setup = CheckpointSetup { every, first, last, batch: BATCH, threads: THREADS, folder: folder.to_owned() };
    child.ask::<Value>(&setup)?;
    Ok(child)
}

fn rows(trials: &[Trial], peer: &SnapshotPeer) -> Result<Vec<Row>> {
    let runs: Vec<Pair> = trials.iter().map(Trial::runs).collect();
    let stalls: Vec<Pair> =
        trials.iter().map(|trial| Pair { ours: trial.stall(), theirs: trial.torch_save_seconds }).collect();
    let shares: Vec<f64> =
        trials.iter().map(|trial| 100.0 * trial.with.stall_seconds / trial.with.run_seconds).collect();
    let step = median(&runs, |pair| pair.theirs) / f64::from(TIMED.1 - TIMED.0);
    let differ = trials.iter().any(|trial| trial.with.loss != trial.without.loss);
    let bytes = trials.first().context("nothing was measured")?.with.bytes;
    let unequal = (bytes as f64 / peer.bytes as f64 - 1.0).abs() > 0.01;
    let row = |name: &str, what: String, (goal, unit), value, void, note| Row {
        name: name.into(),
        what,
        goal: Goal::AtMost(goal),
        unit,
        value,
        void,
        note,
        raw: json!(trials),
    };
    Ok(vec![
        row(
            "checkpoint/overhead",
            format!(
                "ResNet-18, batch {BATCH}: {} steps with a checkpoint every {EVERY} against none",
                TIMED.1 - TIMED.0
            ),
            (1.01, Unit::Times),
            costs(&runs)?,
            differ.then(|| "the last losses of the two runs differ".into()),
            format!("a step takes {:.0} ms", 1e3 * step),
        ),
        row(
            "checkpoint/stalls",
            "the share of the run that it stalled for them, as it reports".into(),
            (1.0, Unit::Percent),
            Summary::of(&shares).context("a run gave no figure")?,
            None,
            "how much writing slows later steps is in the row above, not in this one".into(),
        ),
        row(
            "checkpoint/snapshot",
            format!("the stall of one against torch.save and fsync of the same state in PyTorch {}", peer.version),
            (0.1, Unit::Times),
            costs(&stalls)?,
            unequal.then(|| format!("our files have {bytes} bytes, theirs {}", peer.bytes)),
            format!(
                "{:.1} against {:.0} ms, {:.0} MB",
                1e3 * median(&stalls, |pair| pair.ours),
                1e3 * median(&stalls, |pair| pair.theirs),
                bytes as f64 / 1e6,
            ),
        ),
    ])
}

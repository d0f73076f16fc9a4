//! A supervised job of `learn` on ResNet-18, from its start to its end, with checkpoints or without.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tandem_collective::ProcessGroup;
use tandem_learn::report::Event;

use super::classifier::task;
use super::work::Work;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointSetup {
    /// Steps between checkpoints. Without it there is one checkpoint, at the end.
    pub(crate) every: Option<u32>,
    /// Timed are the steps after `first` up to `last`, which is the last step of the run.
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) batch: u32,
    pub(crate) threads: u32,
    pub(crate) folder: PathBuf,
}

/// The result of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointReply {
    /// Duration of the timed steps.
    pub(crate) seconds: f64,
    /// Duration of the whole run and of its stalls, as it reports them.
    pub(crate) run_seconds: f64,
    pub(crate) stall_seconds: f64,
    pub(crate) checkpoints: u64,
    /// Size of one checkpoint.
    pub(crate) bytes: u64,
    /// The last loss, which must be the same with and without checkpoints.
    pub(crate) loss: f64,
}

pub(super) fn prepare(setup: CheckpointSetup) -> Result<(Value, Work)> {
    Ok((Value::Null, Box::new(move |_| Ok(serde_json::to_value(run(&setup)?)?))))
}

fn run(setup: &CheckpointSetup) -> Result<CheckpointReply> {
    let supervised = json!({
        "stage": "supervised", "encoder": "resnet18", "steps": setup.last, "batch_size": setup.batch, "validation": 0.0,
        "checkpoint_steps": setup.every.unwrap_or(1_000_000),
    });
    // A run must not find the checkpoints of the one before.
    if setup.folder.exists() {
        fs::remove_dir_all(&setup.folder).with_context(|| format!("emptying {}", setup.folder.display()))?;
    }
    let task = task(supervised, setup.threads, &setup.folder)?;
    let (mut began, mut ended) = (None, None);
    let mut found = CheckpointReply {
        seconds: f64::NAN,
        run_seconds: f64::NAN,
        stall_seconds: f64::NAN,
        checkpoints: 0,
        bytes: 0,
        loss: f64::NAN,
    };
    let mut report = |event| match event {
        Event::Metric { name, step, value } if name == "loss" => {
            if step == u64::from(setup.first) {
                began = Some(Instant::now());
            } else if step == u64::from(setup.last) {
                (ended, found.loss) = (Some(Instant::now()), value);
            }
        }
        Event::Checkpoint { bytes, .. } => {
            found.checkpoints += 1;
            found.bytes = bytes;
        }
        Event::Result { name, value } if name == "checkpoint_stall_seconds" => found.stall_seconds = value,
        Event::Result { name, value } if name == "seconds" => found.run_seconds = value,
        _ => {}
    };
    tandem_learn::run(&task, &ProcessGroup::alone(), &mut report, &AtomicBool::new(false))
        .map_err(|failure| anyhow::anyhow!("training failed: {failure}"))?;
    let (began, ended) =
        began.zip(ended).context("the run did not report the loss of its first and last timed step")?;
    found.seconds = (ended - began).as_secs_f64();
    ensure!(found.stall_seconds >= 0.0, "the run did not report its stalls: {found:?}");
    Ok(found)
}

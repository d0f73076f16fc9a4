//! Our sides of the comparisons. Each runs in a process of its own (`tandem-bench --side NAME`) and speaks the same
//! protocol as the Python peers: see `child` and `peers/lines.py`.

mod attack;
mod augment;
mod batches;
mod checkpoint;
mod classifier;
mod optimizer;
mod ranks;
mod step;
mod trainer;
mod training;
mod work;

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::child::{Block, Elapsed};

pub(crate) use attack::{AttackSetup, PgdReply};
pub(crate) use augment::{AugmentReply, AugmentSetup};
pub(crate) use checkpoint::{CheckpointReply, CheckpointSetup};
pub(crate) use classifier::ClassifierSetup;
pub(crate) use optimizer::{OptimizerReply, OptimizerSetup};
pub(crate) use ranks::{RanksReply, RanksSetup};
pub(crate) use step::{StepReply, StepSetup};
pub(crate) use training::TrainingReply;
use work::Work;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Side {
    Step,
    Training,
    Augment,
    Optimizer,
    Classifier,
    Pgd,
    Plb,
    Fmn,
    Ranks,
    Checkpoint,
}

/// Serves until stdin closes.
pub(crate) fn serve(side: Side) -> Result<()> {
    match side {
        Side::Step => run(step::prepare),
        Side::Training => run(training::prepare),
        Side::Augment => run(augment::prepare),
        Side::Optimizer => run(optimizer::prepare),
        Side::Classifier => run(classifier::prepare),
        Side::Pgd => run(attack::prepare_pgd),
        Side::Plb => run(attack::prepare_plb),
        Side::Fmn => run(attack::prepare_fmn),
        Side::Ranks => run(ranks::prepare),
        Side::Checkpoint => run(checkpoint::prepare),
    }
}

fn run<Setup: DeserializeOwned>(prepare: impl Fn(Setup) -> Result<(Value, Work)>) -> Result<()> {
    let mut lines = std::io::stdin().lines();
    let Some(setup) = lines.next().transpose()? else { return Ok(()) };
    let (reply, mut work) = prepare(serde_json::from_str(&setup).context("reading the set-up")?)?;
    answer(&reply)?;
    for line in lines {
        let block: Block = serde_json::from_str(&line?).context("reading a request")?;
        let start = Instant::now();
        let result = work(block.count)?;
        answer(&Elapsed { seconds: start.elapsed().as_secs_f64(), result })?;
    }
    Ok(())
}

fn answer(reply: &impl serde::Serialize) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, reply)?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

//! Asks for what is compared: the jobs, what they were made of, and their verdicts on images.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use tandem_proto::v1::{Artifact, Job, JobState};

use crate::{
    client::Client,
    commands::{
        of_jobs::{AT_ONCE, jobs_of, receipt_of},
        results::artifacts,
    },
    compare::{
        document::Known,
        pairs::{Pair, Side},
    },
    exit::{Exit, Failure, classify},
    render::{csv, labels::configuration},
};

/// Jobs of a side that are compared.
const MOST_JOBS: usize = 1000;
/// Kinds of artifacts that have a verdict on each image.
const PREDICTIONS: &str = "predictions";
const ATTACKED: &str = "attack";

/// What each target stands for, called `A`, `B`, ...
pub(super) async fn sides(client: &Client, targets: &[String]) -> Result<Vec<Side>> {
    let mut sides = Vec::new();
    for (letter, target) in ('A'..='Z').zip(targets) {
        let mut side = side(client, target).await?;
        side.letter = letter.to_string();
        sides.push(side);
    }
    Ok(sides)
}

async fn side(client: &Client, target: &str) -> Result<Side> {
    let (jobs, is_cut) = match jobs_of(client, target, MOST_JOBS).await {
        Err(error) if classify(&error).0 == Exit::NotFound => match runs(client, target).await? {
            Some(runs) => (runs, false),
            None => return Err(error),
        },
        found => found?,
    };
    let Some(first) = jobs.first() else {
        return Err(Failure::error(Exit::NotFound, format!("`{target}` has no jobs")));
    };
    // A job alone comes without those that it starts from.
    let is_whole = |job: &Job| job.depends_on.iter().all(|id| jobs.iter().any(|other| other.id == *id));
    let around = match jobs.iter().all(is_whole) {
        true => jobs.clone(),
        false => jobs_of(client, &first.experiment_id, MOST_JOBS).await?.0,
    };
    Ok(Side { target: target.to_owned(), jobs, around, is_cut, ..Side::default() })
}

/// All seeds of a configuration, `EXPERIMENT/JOB` without the seed; `None` if there is no such thing.
async fn runs(client: &Client, target: &str) -> Result<Option<Vec<Job>>> {
    let Some((experiment, wanted)) = target.rsplit_once('/') else { return Ok(None) };
    let Ok((mut jobs, _)) = jobs_of(client, experiment, MOST_JOBS).await else { return Ok(None) };
    jobs.retain(|job| configuration(&job.name, false) == wanted);
    Ok(Some(jobs).filter(|jobs| !jobs.is_empty()))
}

/// Receipts and verdicts of all that is paired. What cannot be had is said beside its pair.
pub(super) async fn known(client: &Client, pairs: &[Pair<'_>]) -> Result<Known> {
    let mut jobs: Vec<&Job> = pairs.iter().flat_map(|pair| pair.jobs.iter().flatten().copied()).collect();
    jobs.retain(|job| job.state() == JobState::Succeeded);
    jobs.sort_by(|a, b| a.id.cmp(&b.id));
    jobs.dedup_by(|a, b| a.id == b.id);
    let ask = |job: &Job| {
        let job = job.clone();
        async move {
            let receipt = receipt_of(client, &job.id).await?;
            let verdicts = if job.stage == "contrastive" { None } else { verdicts(client, &job).await? };
            anyhow::Ok((job.id, receipt, verdicts))
        }
    };
    let answers: Vec<_> = stream::iter(jobs).map(ask).buffered(AT_ONCE).try_collect().await?;
    let mut known = Known::default();
    for (id, receipt, verdicts) in answers {
        match receipt {
            Ok(receipt) => {
                known.receipts.insert(id.clone(), receipt);
            }
            Err(why) => known.problems.push((id.clone(), format!("environment and data are not known of one: {why}"))),
        }
        if let Some(verdicts) = verdicts {
            known.verdicts.insert(id, verdicts);
        }
    }
    Ok(known)
}

/// What a job says of each image; `None` if it has left no such file.
async fn verdicts(client: &Client, job: &Job) -> Result<Option<Vec<csv::Image>>> {
    let made: Vec<Artifact> = artifacts::of_job(client, &job.id).await?;
    let kind = if job.stage == "attack" { ATTACKED } else { PREDICTIONS };
    let Some(text) = artifacts::table(client, job, &made, kind).await? else { return Ok(None) };
    let read = if kind == ATTACKED { csv::images(&text) } else { csv::predictions(&text) };
    read.map(Some).with_context(|| format!("cannot read the verdicts of `{}`", job.name))
}

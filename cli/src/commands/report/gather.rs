//! Asks for what a report is made from. What cannot be had of one job is said in the report, which is of use without.

use std::collections::HashMap;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use tandem_domain::receipt::Receipt;
use tandem_proto::v1::{Artifact, DeviceReport, Job, JobState, MetricsRequest, ShowRequest};

use crate::{
    client::Client,
    commands::{
        of_jobs::{AT_ONCE, devices_of, jobs_of, receipt_of},
        results::{artifacts, best, training},
    },
    exit::{Exit, Failure, classify},
    output::Output,
    report::facts::Facts,
    time,
};

/// Jobs of a report.
const MOST_JOBS: usize = 1000;
/// The kinds of notes that an attack leaves where a check failed.
const GATE: &str = "gate";
/// The first, the smallest, the largest and the last point of a curve.
const TELLING: u32 = 4;
/// What it says, where it is worth saying twice.
const MOST_PROBLEMS: usize = 10;

/// What was told of one job.
struct Told {
    id: String,
    receipt: Option<Result<Receipt, String>>,
    devices: Vec<DeviceReport>,
    attack: Option<Attack>,
}

#[derive(Default)]
struct Attack {
    curve: Option<String>,
    gates: Vec<String>,
    problem: Option<String>,
}

pub(super) async fn facts(client: &Client, target: &str, output: &Output) -> Result<Facts> {
    let (jobs, is_cut) = jobs_of(client, target, MOST_JOBS).await?;
    if jobs.is_empty() {
        return Err(Failure::error(Exit::NotFound, format!("`{target}` has no jobs to report")));
    }
    let ask = |job: &Job| {
        let job = job.clone();
        async move { told(client, job).await }
    };
    let answers: Vec<Told> = stream::iter(&jobs).map(ask).buffered(AT_ONCE).try_collect().await?;
    let mut facts = Facts { target: target.to_owned(), is_cut, now: time::now(), ..Facts::default() };
    for one in answers {
        match one.receipt {
            Some(Ok(receipt)) => drop(facts.receipts.insert(one.id.clone(), receipt)),
            Some(Err(why)) => facts.problems.push(format!("What produced a result is not known of {}: {why}.", one.id)),
            None => {}
        }
        facts.devices.insert(one.id.clone(), one.devices);
        let Some(attack) = one.attack else { continue };
        attack.curve.into_iter().for_each(|curve| drop(facts.curves.insert(one.id.clone(), curve)));
        facts.problems.extend(attack.problem);
        facts.gates.insert(one.id, attack.gates);
    }
    facts.training = curves(client, &jobs, output).await?;
    facts.last = layers(client, &jobs).await?;
    let attacks: Vec<&Job> =
        jobs.iter().filter(|job| job.stage == "attack" && job.state() == JobState::Succeeded).collect();
    if attacks.len() > 1 {
        match best::curves(client, &jobs, &attacks, false, &Output::silent()).await {
            Ok(curves) => facts.best = curves,
            Err(error) => {
                facts.problems.push(format!("There is no curve of the best of the attacks: {}.", said(&error)?))
            }
        }
    }
    let more = facts.problems.len().saturating_sub(MOST_PROBLEMS);
    if more > 0 {
        facts.problems.truncate(MOST_PROBLEMS);
        facts.problems.push(format!("And {more} more such things."));
    }
    facts.jobs = jobs;
    Ok(facts)
}

async fn told(client: &Client, job: Job) -> Result<Told> {
    let has_ended_well = job.state() == JobState::Succeeded;
    let receipt = if has_ended_well { Some(receipt_of(client, &job.id).await?) } else { None };
    let devices = if job.attempts > 0 { devices_of(client, &job.id).await? } else { Vec::new() };
    let attack = if job.stage == "attack" && has_ended_well { Some(attack(client, &job).await?) } else { None };
    Ok(Told { id: job.id, receipt, devices, attack })
}

async fn attack(client: &Client, job: &Job) -> Result<Attack> {
    let request = ShowRequest { target: job.id.clone() };
    let tried = format!("ask for the files of `{}`", job.name);
    let shown = client.ask(&tried, async |on| on.jobs().show(request.clone()).await).await?;
    let gates = shown.events.into_iter().filter(|event| event.kind == GATE).map(|event| event.message).collect();
    let made: Vec<Artifact> = shown.artifacts;
    Ok(match artifacts::table(client, job, &made, artifacts::CURVE).await {
        Ok(curve) => Attack { curve, gates, problem: None },
        Err(error) => {
            let problem = Some(format!("The curve of {} is not here: {}.", job.name, said(&error)?));
            Attack { curve: None, gates, problem }
        }
    })
}

/// What an error says of one file, or the error itself where there is no coordinator any more.
fn said(error: &anyhow::Error) -> Result<String> {
    match classify(error) {
        (Exit::Damaged | Exit::NotFound | Exit::Usage | Exit::Internal, message) => {
            Ok(message.unwrap_or_default().trim_end_matches('.').to_owned())
        }
        (exit, message) => Err(Failure::error(exit, message.unwrap_or_default())),
    }
}

async fn curves(client: &Client, jobs: &[Job], output: &Output) -> Result<Vec<tandem_draw::plot::Series>> {
    let trained: Vec<Job> = jobs.iter().filter(|job| job.stage != "attack" && job.attempts > 0).cloned().collect();
    match training::series(client, &trained, &[], false, output).await {
        Err(error) if classify(&error).0 == Exit::NotFound => Ok(Vec::new()),
        found => found,
    }
}

/// The newest kNN accuracy of each layer, of encoders that are trained by layers.
async fn layers(client: &Client, jobs: &[Job]) -> Result<HashMap<(String, String), f64>> {
    let names: Vec<String> = (1..=4).map(|layer| format!("knn_accuracy_layer{layer}")).collect();
    let mut last = HashMap::new();
    for job in jobs.iter().filter(|job| job.stage == "contrastive" && job.spec_json.contains("\"layerwise\"")) {
        let request = MetricsRequest {
            target: job.id.clone(),
            names: names.clone(),
            points: TELLING,
            extremes: true,
            ..MetricsRequest::default()
        };
        let answer = client.ask("ask for the layers", async |on| on.results().metrics(request.clone()).await).await?;
        let ends = answer.series.into_iter().filter_map(|one| Some((one.name, *one.values.last()?)));
        last.extend(ends.map(|(name, value)| ((job.id.clone(), name), value)));
    }
    Ok(last)
}

//! Collects what the best of attacks is computed from: each attack's table of images, and the classifier it attacked.

use std::collections::HashMap;

use anyhow::{Context, Result};
use tandem_draw::radius::Curve;
use tandem_proto::v1::{Job, ShowRequest};

use super::artifacts;
use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    render::{
        best::{self, AttackResult, Classifier},
        csv,
        curves::{self, Convention},
        job_specs::{JobSpecs, display_name},
        units::{id_length, short_id},
    },
};

/// The kind of artifact that an attack starts from.
const CLASSIFIER: &str = "classifier";

/// One curve for each attacked classifier and norm; classifiers that differ in their seed alone have one label, unless `each` is to have
/// its own.
pub(crate) async fn curves(
    client: &Client,
    jobs: &[Job],
    attacks: &[&Job],
    each: bool,
    output: &Output,
) -> Result<Vec<Curve>> {
    let specs = JobSpecs::new(jobs);
    let length = id_length(attacks.iter().map(|job| job.id.as_str()));
    let mut classifiers: HashMap<&str, Classifier> = HashMap::new();
    let mut attack_results = Vec::new();
    for job in attacks {
        // Runs of one experiment have the same names: the id tells them apart.
        let name = format!("`{}/{}` ({})", job.experiment_name, job.name, short_id(&job.id, length));
        let made = artifacts::of_job(client, &job.id).await?;
        let images = artifacts::table(client, job, &made, artifacts::IMAGES).await?;
        let curve = artifacts::table(client, job, &made, artifacts::CURVE).await?;
        let (Some(images), Some(curve)) = (images, curve) else {
            // The curve is then weaker, which is no error but should be known.
            output.note(&format!("{name} has left no table of its images and is not counted"));
            continue;
        };
        let from = job.depends_on.first().ok_or_else(|| {
            let message = format!("cannot merge {name}: the coordinator does not say which classifier it attacked");
            Failure::error(Exit::Internal, message)
        })?;
        let classifier = match classifiers.get(from.as_str()) {
            Some(known) => known.clone(),
            None => {
                let found = classifier(client, jobs, job, from, specs.model(job), each).await?;
                classifiers.insert(from, found.clone());
                found
            }
        };
        let unread = |file: &str| format!("cannot read {file} of {name}");
        let [attack, norm] = ["attack", "norm"].map(|key| specs.value(job, key).unwrap_or_default());
        attack_results.push(AttackResult {
            radii: radii(&curve).with_context(|| unread("the curve"))?,
            images: csv::images(&images).with_context(|| unread("the table of images"))?,
            job: name,
            attack,
            norm,
            classifier,
        });
    }
    best::curves(&attack_results)
}

fn radii(curve: &str) -> Result<Vec<f64>> {
    Ok(curves::read(curve, Convention::Best)?.into_iter().map(|(radius, _)| radius).collect())
}

/// The classifier that `attack` starts from, by the id of the job that trained it.
async fn classifier(
    client: &Client,
    jobs: &[Job],
    attack: &Job,
    id: &str,
    model: String,
    each: bool,
) -> Result<Classifier> {
    let tried = format!("ask for the classifier that `{}/{}` attacked", attack.experiment_name, attack.name);
    let request = ShowRequest { target: id.to_owned() };
    let shown = client.ask(&tried, async |on| on.jobs().show(request.clone()).await).await?;
    // A job that two experiments share has a name in each: the listed one is the one that people see.
    let trained = jobs.iter().find(|job| job.id == id).or(shown.jobs.first());
    let weights = shown.artifacts.iter().find(|artifact| artifact.kind == CLASSIFIER);
    let (Some(trained), Some(weights)) = (trained, weights) else {
        let message = format!(
            "cannot {tried}: job {id} shows no file of kind `{CLASSIFIER}`; draw each attack by itself with \
             --convention all"
        );
        return Err(Failure::error(Exit::NotFound, message));
    };
    Ok(Classifier {
        experiment: trained.experiment_name.clone(),
        name: trained.name.clone(),
        label: display_name(&trained.name, if each { &[] } else { &["seed"] }),
        model,
        sha256: weights.sha256.clone(),
    })
}

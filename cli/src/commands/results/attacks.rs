//! The curves of attacks, each as it was measured.

use anyhow::{Context, Result};
use tandem_draw::radius::Curve;
use tandem_proto::v1::Job;

use super::artifacts;
use crate::{
    client::Client,
    exit::{Exit, Failure},
    render::{
        curves::{self, Convention},
        job_specs::{JobSpecs, describe},
    },
};

/// Each attack's own curve; those that differ in their seed alone have one label, unless `each` is to have its own.
pub(super) async fn curves(
    client: &Client,
    jobs: &[Job],
    attacks: &[&Job],
    convention: Convention,
    each: bool,
) -> Result<Vec<Curve>> {
    let specs = JobSpecs::new(jobs);
    let varying = specs.varying(attacks);
    let first = attacks.first().map(|job| job.experiment_name.as_str());
    let are_several = attacks.iter().any(|job| Some(job.experiment_name.as_str()) != first);
    let mut curves = Vec::new();
    for job in attacks {
        let made = artifacts::of_job(client, &job.id).await?;
        let Some(csv) = artifacts::table(client, job, &made, artifacts::CURVE).await? else { continue };
        let points = curves::read(&csv, convention)
            .with_context(|| format!("cannot draw the curve of `{}/{}`", job.experiment_name, job.name))?;
        let value = |key: &str| specs.value(job, key);
        let [attack, norm] = ["attack", "norm"].map(|key| value(key).unwrap_or_default());
        let panel = format!("{} ({norm})", attack.to_uppercase());
        let model = specs.model(job);
        let mut label: Vec<String> = are_several.then(|| job.experiment_name.clone()).into_iter().collect();
        label.push(model.clone());
        let told = |key: &&String| !["attack", "norm"].contains(&key.as_str()) && (each || *key != "seed");
        for key in varying.iter().filter(told) {
            label.extend(value(key).map(|value| describe(key, &value)));
        }
        curves.push(Curve { panel, norm, label: label.join(", "), model, points });
    }
    Ok(curves)
}

/// Sorted by kind of line, so that the legend reads in groups.
pub(super) fn in_groups(mut curves: Vec<Curve>) -> Result<Vec<Curve>> {
    if curves.is_empty() {
        let message = "nothing to draw: none of the listed attacks has left a curve";
        return Err(Failure::error(Exit::NotFound, message));
    }
    curves.sort_by(|a, b| (&a.panel, &b.model, &a.label).cmp(&(&b.panel, &a.model, &b.label)));
    Ok(curves)
}

//! The best of several attacks as one curve: for each image the smallest distance that any of them found.

use std::collections::BTreeSet;

use anyhow::Result;
use tandem_draw::radius::Curve;

use super::{csv::Image, units::count};
use crate::exit::{Exit, Failure};

/// What one attack found, and the classifier that it attacked.
#[derive(Clone, Debug)]
pub(crate) struct AttackResult {
    /// Unique name of the job, for messages.
    pub(crate) job: String,
    /// plb, pgd, ...
    pub(crate) attack: String,
    /// l2, linf, ...: distances in different norms cannot be compared.
    pub(crate) norm: String,
    pub(crate) classifier: Classifier,
    /// Radii of its own curve.
    pub(crate) radii: Vec<f64>,
    pub(crate) images: Vec<Image>,
}

/// The attacked classifier: the job that an attack is `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classifier {
    pub(crate) experiment: String,
    pub(crate) name: String,
    /// Its name in a legend.
    pub(crate) label: String,
    /// Supervised, contrastive, ...
    pub(crate) model: String,
    /// Of its weights.
    pub(crate) sha256: String,
}

/// One curve for each classifier and norm, in the order of their first attack.
pub(crate) fn curves(attack_results: &[AttackResult]) -> Result<Vec<Curve>> {
    // Grouped by name: the legend could not tell two classifiers of one name apart, so `merge` refuses them.
    let key = |one: &AttackResult| (one.classifier.experiment.clone(), one.classifier.name.clone(), one.norm.clone());
    let mut groups: Vec<Vec<&AttackResult>> = Vec::new();
    for one in attack_results {
        match groups.iter_mut().find(|group| key(group[0]) == key(one)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let experiments: BTreeSet<&str> = attack_results.iter().map(|one| one.classifier.experiment.as_str()).collect();
    let curve = |group: Vec<&AttackResult>| {
        let AttackResult { classifier, norm, .. } = group[0];
        let experiment = if experiments.len() > 1 { format!("{} / ", classifier.experiment) } else { String::new() };
        Ok(Curve {
            panel: format!("best of attacks ({norm})"),
            norm: norm.clone(),
            label: format!("{experiment}{}, {}", classifier.label, attack_names(&group)),
            model: classifier.model.clone(),
            points: merge(&group)?,
        })
    };
    groups.into_iter().map(curve).collect()
}

/// `best of plb, pgd`: each attack once, however many jobs ran it.
fn attack_names(group: &[&AttackResult]) -> String {
    let mut attacks: Vec<&str> = Vec::new();
    for one in group {
        if !attacks.contains(&one.attack.as_str()) {
            attacks.push(&one.attack);
        }
    }
    match group {
        [_] => format!("{} alone", attacks.join(", ")),
        _ => format!("best of {}", attacks.join(", ")),
    }
}

/// (radius, percent of all images that any of the attacks breaks within it), at every radius of any of their curves: the
/// distances are exact, so each attack can be read at the radii of the others.
fn merge(group: &[&AttackResult]) -> Result<Vec<(f64, f64)>> {
    let Some((first, rest)) = group.split_first() else { return Ok(Vec::new()) };
    if let Some(refusal) = rest.iter().find_map(|other| refusal(first, other)) {
        return Err(Failure::error(Exit::Usage, refusal));
    }
    let mut best = first.images.clone();
    for other in rest {
        for (image, found) in best.iter_mut().zip(&other.images) {
            image.distance = image.distance.min(found.distance);
        }
    }
    let mut radii: Vec<f64> = group.iter().flat_map(|one| &one.radii).copied().collect();
    radii.sort_by(f64::total_cmp);
    radii.dedup();
    let percent = |radius: f64| {
        let fallen = best.iter().filter(|image| image.falls_within(radius)).count();
        100.0 * fallen as f64 / best.len().max(1) as f64
    };
    Ok(radii.into_iter().map(|radius| (radius, percent(radius))).collect())
}

/// Why two attacks cannot share a curve, and what to do; `None` if they attacked the same images of the same classifier.
fn refusal(one: &AttackResult, other: &AttackResult) -> Option<String> {
    let (a, b) = (&one.job, &other.job);
    let (reason, next) = if one.classifier.sha256 != other.classifier.sha256 {
        let short = |one: &AttackResult| one.classifier.sha256.get(..12).unwrap_or("unknown").to_owned();
        (
            format!(
                "they attacked two classifiers of this name: {a} the one with SHA-256 {}, {b} the one with {}",
                short(one),
                short(other)
            ),
            "name one experiment, by its id if there are several of its name (see `tandem list`)",
        )
    } else if one.images.len() != other.images.len() {
        let [m, n] = [one, other].map(|one| count(one.images.len() as u64));
        (
            format!("{a} attacked {m} images, {b} {n}"),
            "give both the same `images` in the experiment file and submit it again",
        )
    } else {
        let mut pairs = one.images.iter().zip(&other.images);
        let (x, y) = pairs.find(|(x, y)| (x.id, x.label) != (y.id, y.label))?;
        (
            format!(
                "where {a} attacked image {} (label {}), {b} attacked image {} (label {})",
                x.id, x.label, y.id, y.label
            ),
            "the data set changed in between: submit the experiment again with --fresh",
        )
    };
    let Classifier { experiment, name, .. } = &one.classifier;
    Some(format!(
        "cannot merge the {} attacks on `{experiment}/{name}`: {reason}; {next}, or draw each attack by itself with \
         --convention all",
        one.norm
    ))
}

#[cfg(test)]
mod tests;

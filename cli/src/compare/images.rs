//! Verdicts on the same images, side by side: each image is its own control, which tells more than two accuracies do.

use std::collections::HashMap;

use serde::Serialize;
use tandem_domain::{
    spec::Stage,
    statistics::{Paired, paired},
};
use tandem_proto::v1::Job;

use super::{pairs::Side, surroundings::Receipts};
use crate::render::{csv::Image, job::value, job_specs::JobSpecs};

/// What a job says of each image; by the id of the job. Of a classifier the distance is 0 where it errs, else infinite.
pub(crate) type Verdicts = HashMap<String, Vec<Image>>;

/// Readouts of an attack that are tested.
const MOST_RADII: usize = 4;

/// One job of the first side and one of another, on the same images.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tested {
    /// What is right or wrong: `test images`, `l2 within 0.25`.
    pub(crate) what: String,
    /// Ids of the two jobs.
    pub(crate) first: String,
    pub(crate) other: String,
    /// The other's side.
    pub(crate) side: String,
    #[serde(flatten)]
    pub(crate) paired: Paired,
}

/// The tests of a pair, and why there are none where one might be expected.
pub(crate) fn tested(
    sides: &[Side],
    jobs: &[Vec<&Job>],
    verdicts: &Verdicts,
    receipts: &Receipts,
) -> (Vec<Tested>, Vec<String>) {
    let (mut tests, mut remarks) = (Vec::new(), Vec::new());
    let Some(first) = jobs.iter().position(|jobs| !jobs.is_empty()) else { return (tests, remarks) };
    for place in (first + 1..sides.len()).filter(|place| !jobs[*place].is_empty()) {
        let matched = by_seed(&jobs[first], &jobs[place]);
        let (a, b) = (&sides[first].letter, &sides[place].letter);
        if matched.is_empty() {
            remarks.push(format!("no test by images of {a} and {b}: they have no seed in common"));
        }
        let are_several = matched.len() > 1;
        for (one, other) in matched {
            match compared(one, other, verdicts, receipts) {
                Ok(found) => {
                    let of_seed =
                        seed(one).filter(|_| are_several).map(|seed| format!(", seed {seed}")).unwrap_or_default();
                    let test = |(what, paired): (String, Paired)| Tested {
                        what: format!("{what}{of_seed}"),
                        first: one.id.clone(),
                        other: other.id.clone(),
                        side: b.clone(),
                        paired,
                    };
                    tests.extend(found.into_iter().map(test));
                }
                Err(Some(why)) => remarks.push(format!("no test by images of {a} and {b}: {why}")),
                Err(None) => {}
            }
        }
    }
    remarks.dedup();
    (tests, remarks)
}

fn seed(job: &Job) -> Option<String> {
    JobSpecs::new(std::slice::from_ref(job)).own(job, "seed")
}

/// Runs of equal seeds; two that are alone belong together.
fn by_seed<'a>(first: &[&'a Job], other: &[&'a Job]) -> Vec<(&'a Job, &'a Job)> {
    if let ([one], [other]) = (first, other) {
        return vec![(one, other)];
    }
    let twin = |one: &&'a Job| other.iter().find(|other| seed(other) == seed(one)).map(|other| (*one, *other));
    first.iter().filter_map(twin).collect()
}

/// `Err(None)` where no verdict on images is to be expected: of encoders.
fn compared(
    one: &Job,
    other: &Job,
    verdicts: &Verdicts,
    receipts: &Receipts,
) -> Result<Vec<(String, Paired)>, Option<String>> {
    let classifies = |job: &Job| job.stage != "contrastive";
    if !classifies(one) || !classifies(other) {
        return Err(None);
    }
    if (one.stage == "attack") != (other.stage == "attack") {
        return Err(Some("one is an attack and the other a classifier".to_owned()));
    }
    let of = |job: &Job| {
        let none = "one has left no verdicts: it has not succeeded, or is of a version that wrote none";
        verdicts.get(&job.id).ok_or_else(|| Some(none.to_owned()))
    };
    let (first, second) = (of(one)?, of(other)?);
    same_images(one, other, receipts)?;
    let (first, second) = (sorted(first), sorted(second));
    let key = |image: &&Image| (image.id, image.label);
    if first.len() != second.len() {
        return Err(Some(format!("the images are not the same: {} and {} of them", first.len(), second.len())));
    }
    if let Some((x, y)) = first.iter().zip(&second).find(|(x, y)| key(x) != key(y)) {
        let why = format!(
            "the images are not the same: where one has image {} (label {}), the other has image {} (label {})",
            x.id, x.label, y.id, y.label
        );
        return Err(Some(why));
    }
    let test = |what: String, radius: f64| {
        let is_right = |image: &Image| !image.falls_within(radius);
        (what, paired(first.iter().zip(&second).map(|(x, y)| (is_right(x), is_right(y)))))
    };
    if one.stage != "attack" {
        return Ok(vec![test("test images".to_owned(), 0.0)]);
    }
    let specs = [one, other].map(|job| JobSpecs::new(std::slice::from_ref(job)).own(job, "norm").unwrap_or_default());
    let mut tests = vec![test("not attacked".to_owned(), 0.0)];
    if specs[0] == specs[1] {
        let radii = radii(one, other);
        tests.extend(radii.into_iter().map(|(text, radius)| test(format!("{} within {text}", specs[0]), radius)));
    }
    Ok(tests)
}

fn sorted(images: &[Image]) -> Vec<&Image> {
    let mut all: Vec<&Image> = images.iter().collect();
    all.sort_by_key(|image| image.id);
    all
}

/// By the checksums that the receipts have; of synthetic images by the seed that they are made from.
fn same_images(one: &Job, other: &Job, receipts: &Receipts) -> Result<(), Option<String>> {
    let checksum = |job: &Job| receipts.get(&job.id).and_then(|receipt| receipt.images.clone());
    let [first, second] = [one, other].map(|job| {
        let specs = JobSpecs::new(std::slice::from_ref(job));
        (specs.own(job, "dataset").unwrap_or_default(), specs.own(job, "seed").unwrap_or_default())
    });
    match (checksum(one), checksum(other)) {
        _ if first.0 != second.0 => Err(Some(format!("the images are not the same: {} and {}", first.0, second.0))),
        (Some(a), Some(b)) if a == b => Ok(()),
        (Some(_), Some(_)) => Err(Some(format!("the images are not the same: two versions of {}", first.0))),
        _ if first.0 == "shapes" && first.1 == second.1 => Ok(()),
        _ if first.0 == "shapes" => {
            let why = format!("the images are not the same: shapes made from seeds {} and {}", first.1, second.1);
            Err(Some(why))
        }
        _ => Err(Some("whether the images are the same is not known: a checksum of them is missing".to_owned())),
    }
}

/// Radii at which both jobs have looked and have a figure, the smallest first, as the figures' names have them and as they are.
fn radii(one: &Job, other: &Job) -> Vec<(String, f64)> {
    let [first, second] = [one, other].map(grid);
    let is_shared = |text: &str| {
        let name = format!("misclassified_at_{text}");
        [one, other].iter().all(|job| value(&job.results, &name).is_some())
    };
    let told = first.into_iter().filter(|radius| second.contains(radius)).map(|radius| (short(radius), radius));
    told.filter(|(text, _)| is_shared(text)).take(MOST_RADII).collect()
}

fn grid(job: &Job) -> Vec<f64> {
    let spec: serde_json::Value = serde_json::from_str(&job.spec_json).unwrap_or_default();
    match spec.get("stage").cloned().map(serde_json::from_value) {
        Some(Ok(Stage::Attack(attack))) => attack.grid(),
        _ => Vec::new(),
    }
}

/// As the names of results have a radius.
fn short(radius: f64) -> String {
    let text = format!("{radius:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;

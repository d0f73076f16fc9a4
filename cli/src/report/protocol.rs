//! How each job was trained or attacked, in words: a line for each table of the experiment file.

use tandem_proto::v1::Job;

use super::{
    document::{Block, Section},
    facts::View,
};
use crate::render::job_specs::{base, describe, swept};

pub(crate) fn section(view: &View<'_>) -> Section {
    let mut lines: Vec<String> = Vec::new();
    for job in &view.facts.jobs {
        let line = format!("{}: {}.", base(&job.name), words(view, job));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        return Section::default();
    }
    let mut blocks = vec![Block::List(lines)];
    if let Some(common) = common(view) {
        blocks.insert(0, Block::Text(common));
    }
    Section::new("Protocol", blocks)
}

/// Data set, seeds and shards of all jobs.
fn common(view: &View<'_>) -> Option<String> {
    let all = |key: &str| {
        let mut values: Vec<String> = view.facts.jobs.iter().filter_map(|job| view.specs.own(job, key)).collect();
        values.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        values.dedup();
        Some(values.join(", ")).filter(|values| !values.is_empty())
    };
    let mut images: Vec<String> = view.facts.receipts.values().filter_map(|one| one.images.clone()).collect();
    images.sort();
    images.dedup();
    let images = match images.is_empty() {
        true => String::new(),
        false => format!(" (SHA-256 of images and labels: {})", images.join(", ")),
    };
    let data = all("dataset")?;
    let seeds = all("seed").map(|seeds| format!("; seeds {seeds}")).unwrap_or_default();
    let shards = all("shards").map(|shards| format!("; shards {shards}, threads of each ")).unwrap_or_default();
    let threads = if shards.is_empty() { String::new() } else { all("threads").unwrap_or_else(|| "1".to_owned()) };
    Some(format!("Data: {data}{images}{seeds}{shards}{threads}."))
}

/// A job's parameters that decide its figure; those that were swept are named as such, so that all of a sweep read alike.
fn words(view: &View<'_>, job: &Job) -> String {
    let own = |key: &str| -> Option<String> {
        match swept(&job.name).any(|(name, _)| name == key) {
            true => Some("swept".to_owned()),
            false => view.specs.own(job, key),
        }
    };
    let said = |before: &str, key: &str| own(key).map(|value| format!("{before}{value}"));
    let mut parts: Vec<Option<String>> = Vec::new();
    match job.stage.as_str() {
        "contrastive" => parts.extend([
            said("contrastive pretraining of ", "encoder"),
            said("epochs ", "epochs"),
            said("batch ", "batch_size"),
            said("temperature ", "temperature"),
        ]),
        "supervised" => parts.push(said("supervised from scratch: ", "encoder")),
        "linear" => parts.extend([
            Some("one linear layer on the frozen encoder".to_owned()),
            said("solver ", "solver"),
            said("ridge ", "ridge").or_else(|| Some("ridge chosen on held-out labelled images".to_owned())),
        ]),
        "finetune" => parts.extend([
            Some("whole network from the pretrained encoder".to_owned()),
            said("layers of the head ", "head_layers"),
        ]),
        "attack" => parts.extend([
            own("attack").zip(own("norm")).map(|(attack, norm)| format!("{} in {norm}", attack.to_uppercase())),
            own("images").map(|images| match images.as_str() {
                "0" => "all test images".to_owned(),
                some => format!("{some} test images"),
            }),
            said("draw ", "draw"),
            said("preset ", "preset"),
            said("steps ", "steps"),
            said("restarts ", "restarts"),
        ]),
        other => parts.push(Some(other.to_owned())),
    }
    if ["supervised", "finetune"].contains(&job.stage.as_str()) {
        parts.push(said("steps ", "steps").or_else(|| said("epochs ", "epochs")));
        parts.push(said("batch ", "batch_size"));
        parts.push(own("validation").map(|share| match share.parse::<f64>() {
            Ok(0.0) => "the last epoch counts".to_owned(),
            Ok(share) => format!("{} % held out to choose between best epoch and last", 100.0 * share),
            Err(_) => format!("held out: {share}"),
        }));
    }
    if job.stage != "attack" && job.stage != "linear" {
        parts.push(own("optimizer.name").zip(own("optimizer.lr")).map(|(name, lr)| format!("{name} at rate {lr}")));
        parts.push(penalty(&own));
    }
    if ["supervised", "linear", "finetune"].contains(&job.stage.as_str()) {
        parts.push(own("label_fraction").map(|share| match share.parse::<f64>() {
            Ok(_) => describe("label_fraction", &share),
            Err(_) => format!("share of the labels {share}"),
        }));
    }
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn penalty(own: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let lambda = own("tikhonov.lambda").filter(|lambda| lambda != "0")?;
    let kind = own("tikhonov.scaling").map(|scaling| format!(", {scaling}")).unwrap_or_default();
    let rescaled = if own("tikhonov.rescale").as_deref() == Some("true") { ", λ times batch / 128" } else { "" };
    let method = own("tikhonov.method").unwrap_or_default();
    Some(format!("penalty λ {lambda} ({method}{kind}{rescaled})"))
}

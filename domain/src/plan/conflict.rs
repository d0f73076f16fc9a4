//! Values that are right each by itself and wrong together.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::file::Gang;
use crate::spec::{Contrastive, Dataset, Layerwise, Stage};

/// A key at fault, relative to the job's table, and what is wrong with it.
pub(super) type Conflict = (&'static str, String);

/// The first conflict of one job; `written` is its table.
pub(super) fn find(stage: &Stage, gang: Gang, dataset: &Dataset, written: &DeTable<'_>) -> Option<Conflict> {
    let Gang { workers, shards, .. } = gang;
    if workers.world_sizes(shards).next().is_none() {
        let message = format!(
            "{workers} workers cannot share {shards} shards equally: the number of workers must divide that of shards"
        );
        return Some(("workers", message));
    }
    let batch_size = match stage {
        Stage::Contrastive(stage) => stage.batch_size,
        Stage::Supervised(stage) => stage.batch_size,
        Stage::Finetune(stage) => stage.batch_size,
        Stage::Linear(_) | Stage::Attack(_) => return None,
    };
    batch(batch_size, shards, dataset)
        .or_else(|| warmup(stage, written))
        .or_else(|| if let Stage::Contrastive(stage) = stage { contrastive(stage) } else { None })
}

fn batch(batch_size: u32, shards: u32, dataset: &Dataset) -> Option<Conflict> {
    let message = if !batch_size.is_multiple_of(shards) {
        format!("a batch of {batch_size} images cannot be split into {shards} equal shards")
    } else if batch_size / shards < 2 {
        format!("{shards} shards of a batch of {batch_size} hold one image each; BatchNorm needs at least 2")
    } else if dataset.train_images().is_some_and(|images| u64::from(batch_size) > images) {
        format!("a batch of {batch_size} is larger than the training set of {dataset}")
    } else {
        return None;
    };
    Some(("batch_size", message))
}

/// The default warm-up of a short training is cut to it; a written one that never ends is a mistake.
fn warmup(stage: &Stage, written: &DeTable<'_>) -> Option<Conflict> {
    let key = "optimizer.warmup_epochs";
    let (epochs, optimizer) = match stage {
        Stage::Contrastive(stage) => (stage.epochs, &stage.optimizer),
        Stage::Supervised(stage) => (stage.epochs, &stage.optimizer),
        Stage::Finetune(stage) => (stage.epochs, &stage.optimizer),
        Stage::Linear(_) | Stage::Attack(_) => return None,
    };
    (locate(written, key).is_some() && optimizer.warmup_epochs > f64::from(epochs)).then(|| {
        (key, format!("a warm-up of {} epochs is longer than the training of {epochs}", optimizer.warmup_epochs))
    })
}

fn contrastive(stage: &Contrastive) -> Option<Conflict> {
    if stage.monitor.neighbours > stage.monitor.bank {
        let (neighbours, bank) = (stage.monitor.neighbours, stage.monitor.bank);
        return Some((
            "monitor.neighbours",
            format!("{neighbours} neighbours are more than the bank of {bank} images"),
        ));
    }
    stage.layerwise.as_ref().and_then(layerwise)
}

fn layerwise(Layerwise { alpha, beta, force, .. }: &Layerwise) -> Option<Conflict> {
    const MOST: usize = 64;
    if !(1..=MOST).contains(&alpha.len()) {
        return Some(("layerwise.alpha", format!("expected 1 to {MOST} weights, found {}", alpha.len())));
    }
    if !beta.is_empty() && beta.len() != alpha.len() {
        let message = format!("{} weights beside {} in `alpha`; expected as many, or none", beta.len(), alpha.len());
        return Some(("layerwise.beta", message));
    }
    (!force && !alpha.is_sorted_by(|a, b| a < b)).then(|| {
        ("layerwise.alpha", "the weights must grow with depth (eq. 4); `force = true` accepts others".to_owned())
    })
}

/// Where the value of a dotted key stands, if it is written.
pub(super) fn locate(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let value = table.get(name)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(value.span()),
        (Some(rest), DeValue::Table(inner)) => locate(inner, rest),
        (Some(_), _) => None,
    }
}

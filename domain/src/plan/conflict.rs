//! Values that are valid each by itself but not together.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::parallelism::Parallelism;
use crate::spec::{
    Attack, AttackMethod, BatchNorm, Contrastive, Dataset, ImageCounts, Layerwise, Norm, Stage, Tikhonov,
};

/// A key at fault, relative to the job's table, and what is wrong with it.
pub(super) type Conflict = (&'static str, String);

/// The conflicts of one job; `written` is its table.
pub(super) fn find(stage: &Stage, parallelism: Parallelism, dataset: &Dataset, written: &DeTable<'_>) -> Vec<Conflict> {
    let Parallelism { workers, shards, .. } = parallelism;
    let gang = workers.world_sizes(shards).next().is_none().then(|| {
        let message = format!(
            "{workers} workers cannot share {shards} shards equally: the number of workers must divide that of shards"
        );
        ("workers", message)
    });
    let own = match stage {
        Stage::Contrastive(stage) => {
            vec![neighbours(stage), layerwise_of(stage), held_out_views(stage, dataset)]
        }
        Stage::Supervised(stage) => vec![labels(stage.validation, stage.label_fraction, dataset)],
        Stage::Finetune(stage) => vec![labels(stage.validation, stage.label_fraction, dataset)],
        Stage::Linear(stage) => vec![fraction(stage.label_fraction, dataset)],
        Stage::Attack(stage) => vec![radii(stage), able(stage)],
    };
    let (batch_size, batch_norm) = match stage {
        Stage::Contrastive(stage) => (stage.batch_size, stage.batch_norm),
        Stage::Supervised(stage) => (stage.batch_size, stage.batch_norm),
        Stage::Finetune(stage) => (stage.batch_size, stage.batch_norm),
        Stage::Linear(_) | Stage::Attack(_) => return [gang].into_iter().chain(own).flatten().collect(),
    };
    let training = [
        gang,
        batch(batch_size, shards, batch_norm, dataset),
        rounded_difference(stage),
        budget(written),
        warmup(stage, written),
    ];
    training.into_iter().chain(own).flatten().collect()
}

/// Some of the labels, and a part of those held out.
fn labels(validation: f64, share: f64, dataset: &Dataset) -> Option<Conflict> {
    fraction(share, dataset).or_else(|| held_out(validation, share, dataset))
}

/// The label fraction must leave an image of each class. (The known data sets have equally many images of each.)
fn fraction(fraction: f64, dataset: &Dataset) -> Option<Conflict> {
    let images = dataset.counts()?;
    let each = images.train / images.classes;
    ((fraction * each as f64).round() < 1.0).then(|| {
        let least = 0.5 / each as f64;
        let message = format!(
            "a label fraction of {fraction} leaves no image of a class: {dataset} has {each} of each; use at least {least}"
        );
        ("label_fraction", message)
    })
}

/// At least one image of each class is held out, and one must be left to train on.
fn held_out(share: f64, fraction: f64, dataset: &Dataset) -> Option<Conflict> {
    let images = dataset.counts()?;
    let labelled = (fraction * (images.train / images.classes) as f64).round();
    (share > 0.0 && (share * labelled).round().max(1.0) >= labelled).then(|| {
        let message = format!(
            "a label fraction of {fraction} leaves {labelled} image of each class, and none to train on beside those that \
             are held out; write `validation = 0.0`"
        );
        ("validation", message)
    })
}

/// A step of `h` is lost where pixels are rounded to bf16.
fn rounded_difference(stage: &Stage) -> Option<Conflict> {
    stage.differences_in_bf16().then(|| {
        let message = "`precision = \"bf16\"` rounds the images, and with them the step of a finite difference: its penalty would be \
                       noise. Write `tikhonov.method = \"exact\"`, which is right in bf16, or `precision = \"f32\"`";
        ("tikhonov.method", message.to_owned())
    })
}

/// Enough images for a batch must be left to train on, and two for a loss.
fn held_out_views(stage: &Contrastive, dataset: &Dataset) -> Option<Conflict> {
    let (images, batch_size) = (dataset.counts()?.train, u64::from(stage.batch_size));
    let held_out = (stage.validation * images as f64).round() as u64;
    let message = if stage.validation > 0.0 && held_out + batch_size > images {
        format!(
            "a share of {} holds out {held_out} of the {images} images of {dataset}, and fewer than a batch of {batch_size} \
             are left to train on",
            stage.validation
        )
    } else if stage.validation > 0.0 && held_out < 2 {
        format!(
            "a share of {} holds out {held_out} of the {images} images of {dataset}; hold out 2 at least",
            stage.validation
        )
    } else {
        return None;
    };
    Some(("validation", message))
}

fn budget(written: &DeTable<'_>) -> Option<Conflict> {
    let both = written.contains_key("steps") && written.contains_key("epochs");
    both.then(|| ("steps", "`steps` and `epochs` are two budgets; keep one of them".to_owned()))
}

fn radii(Attack { norm, radii, .. }: &Attack) -> Option<Conflict> {
    if !radii.is_sorted_by(|a, b| a < b) {
        return Some(("radii", "the radii must grow, each once".to_owned()));
    }
    let farthest = farthest(*norm);
    let radius = radii.iter().find(|radius| **radius > farthest)?;
    Some(("radii", format!("{radius} is too large: no two images of 32x32 lie farther apart than {farthest:.1}")))
}

fn able(Attack { attack, norm, .. }: &Attack) -> Option<Conflict> {
    let able: &[Norm] = match attack {
        AttackMethod::Plb | AttackMethod::Fmn | AttackMethod::BestOf => return None,
        AttackMethod::Fab => &[Norm::L1, Norm::L2, Norm::Linf],
        AttackMethod::Ddn => &[Norm::L2],
        AttackMethod::Pgd | AttackMethod::Apgd | AttackMethod::ApgdT | AttackMethod::Square => &[Norm::L2, Norm::Linf],
    };
    (!able.contains(norm)).then(|| {
        (
            "norm",
            "pgd, apgd, apgd-t and square know l2 and linf, ddn l2 alone; fab knows l1 as well, plb, fmn and best-of all \
             four"
                .to_owned(),
        )
    })
}

/// The distance from a black image of 3 x 32 x 32 to a white one.
fn farthest(norm: Norm) -> f64 {
    let elements = f64::from(3 * 32 * 32);
    match norm {
        Norm::L0 | Norm::L1 => elements,
        Norm::L2 => elements.sqrt(),
        Norm::Linf => 1.0,
    }
}

fn batch(batch_size: u32, shards: u32, batch_norm: BatchNorm, dataset: &Dataset) -> Option<Conflict> {
    let message = if !batch_size.is_multiple_of(shards) {
        format!("a batch of {batch_size} images cannot be split into {shards} equal shards")
    } else if batch_size < 2 || (batch_norm == BatchNorm::Shard && batch_size / shards < 2) {
        format!("{shards} shards of a batch of {batch_size} hold one image each; BatchNorm needs at least 2")
    } else {
        return dataset.counts().and_then(|images| large_batch(batch_size, dataset, images.train));
    };
    Some(("batch_size", message))
}

fn large_batch(batch_size: u32, dataset: &Dataset, images: u64) -> Option<Conflict> {
    let message =
        || format!("a batch of {batch_size} is larger than the training set of {dataset}, which has {images} images");
    (u64::from(batch_size) > images).then(|| ("batch_size", message()))
}

/// What is wrong with a job on a data set of this size that only whoever has read it knows.
pub(super) fn with_images(stage: &Stage, dataset: &Dataset, images: ImageCounts) -> Option<String> {
    let Stage::Contrastive(stage) = stage else { return None };
    large_batch(stage.batch_size, dataset, images.train).map(|(key, message)| format!("`{key}`: {message}"))
}

/// A default warm-up is made to fit (`defaults`), but a written one that is longer than the training is a mistake.
fn warmup(stage: &Stage, written: &DeTable<'_>) -> Option<Conflict> {
    let key = "optimizer.warmup_epochs";
    let (epochs, optimizer) = match stage {
        Stage::Contrastive(stage) => (stage.epochs, &stage.optimizer),
        Stage::Supervised(stage) if stage.steps.is_none() => (stage.epochs, &stage.optimizer),
        Stage::Finetune(stage) if stage.steps.is_none() => (stage.epochs, &stage.optimizer),
        Stage::Supervised(_) | Stage::Finetune(_) | Stage::Linear(_) | Stage::Attack(_) => return None,
    };
    (locate(written, key).is_some() && optimizer.warmup_epochs > f64::from(epochs)).then(|| {
        (key, format!("a warm-up of {} epochs is longer than the training of {epochs}", optimizer.warmup_epochs))
    })
}

fn neighbours(stage: &Contrastive) -> Option<Conflict> {
    let (neighbours, bank) = (stage.monitor.neighbours, stage.monitor.bank);
    (neighbours > bank)
        .then(|| ("monitor.neighbours", format!("{neighbours} neighbours are more than the bank of {bank} images")))
}

fn layerwise_of(stage: &Contrastive) -> Option<Conflict> {
    stage.layerwise.as_ref().and_then(|written| layerwise(written, &stage.tikhonov))
}

fn layerwise(written: &Layerwise, tikhonov: &Tikhonov) -> Option<Conflict> {
    let Layerwise { alpha, ratio, beta, beta_ratio, force, .. } = written;
    let fault = |key: &'static str, message: String| Some((key, message));
    if alpha.is_empty() == ratio.is_none() {
        return fault("layerwise.alpha", "expected either `alpha`, a list of weights, or `ratio`".to_owned());
    }
    if !beta.is_empty() && beta_ratio.is_some() {
        return fault("layerwise.beta", "expected either `beta`, a list of weights, or `beta_ratio`".to_owned());
    }
    if tikhonov.lambda > 0.0 && beta.is_empty() && beta_ratio.is_none() {
        let message = "with `layerwise`, the penalties of eq. (5) take the place of `tikhonov.lambda`: write \
                       `layerwise.beta_ratio` or `layerwise.beta`, or leave lambda out";
        return fault("tikhonov.lambda", message.to_owned());
    }
    if beta_ratio.is_some() && tikhonov.lambda == 0.0 {
        let message = "`beta_ratio` scales `tikhonov.lambda`, which is 0; set it, or list `beta`".to_owned();
        return fault("layerwise.beta_ratio", message);
    }
    for (key, weights) in [("layerwise.alpha", written.alphas()), ("layerwise.beta", written.betas(tikhonov))] {
        let optional = key == "layerwise.beta" && weights.is_empty();
        if !optional && weights.len() != Layerwise::STAGES {
            let message =
                format!("expected {} weights, one for each stage; found {}", Layerwise::STAGES, weights.len());
            return fault(key, message);
        }
        if !force && !weights.is_sorted_by(|a, b| a < b) {
            let message = "the weights must grow with depth (eqs. 4, 5); `force = true` accepts others".to_owned();
            return fault(key, message);
        }
    }
    None
}

/// The byte range of the value of a dotted key, if it is written.
pub(super) fn locate(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (name, rest) = key.split_once('.').map_or((key, None), |(name, rest)| (name, Some(rest)));
    let value = table.get(name)?;
    match (rest, value.get_ref()) {
        (None, _) => Some(value.span()),
        (Some(rest), DeValue::Table(inner)) => locate(inner, rest),
        (Some(_), _) => None,
    }
}

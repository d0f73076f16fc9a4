//! Values that are valid each by itself but not together.

use toml::de::DeTable;

use super::parallelism::Parallelism;
use super::read::locate;
use crate::spec::{
    Attack, AttackMethod, BatchNorm, Contrastive, Dataset, ImageCounts, Layerwise, Norm, Stage, Tikhonov,
};

/// A key at fault, relative to the job's table, and what is wrong with it.
pub(super) type Conflict = (&'static str, String);

/// The conflicts of one job; `written` is its table. What follows from a key that is `unsure` is none.
pub(super) fn find(
    stage: &Stage,
    parallelism: Parallelism,
    dataset: &Dataset,
    written: &DeTable<'_>,
    unsure: &[String],
) -> Vec<Conflict> {
    let Parallelism { workers, shards, .. } = parallelism;
    let gang = workers.world_sizes(shards).next().is_none().then(|| {
        let message = format!(
            "{workers} workers cannot share {shards} shards equally: the number of workers must divide that of shards"
        );
        ("workers", message)
    });
    let training = |batch_size, batch_norm| {
        vec![
            (&["batch_size", "shards", "workers", "batch_norm"][..], split(batch_size, shards, batch_norm)),
            (&["precision", "tikhonov", "layerwise"][..], rounded_difference(stage)),
            (&[][..], budget(written)),
            (&["epochs", "steps", "optimizer.warmup_epochs"][..], warmup(stage, written)),
        ]
    };
    let own = match stage {
        Stage::Contrastive(stage) => [
            training(stage.batch_size, stage.batch_norm),
            vec![(&["monitor"][..], neighbours(stage)), (&["layerwise", "tikhonov"][..], layerwise_of(stage))],
        ]
        .concat(),
        Stage::Supervised(stage) => training(stage.batch_size, stage.batch_norm),
        Stage::Finetune(stage) => training(stage.batch_size, stage.batch_norm),
        Stage::Linear(_) => Vec::new(),
        Stage::Attack(stage) => vec![(&["radii", "norm"][..], radii(stage)), (&["attack", "norm"][..], able(stage))],
    };
    let size = dataset.counts().map(|images| of_size(stage, dataset, images)).unwrap_or_default();
    let is_unsure = |key: &&str| unsure.iter().any(|unsure| unsure == key || unsure.starts_with(&format!("{key}.")));
    let all = [(&["workers", "shards"][..], gang)].into_iter().chain(own).chain(size);
    all.filter(|(keys, _)| !keys.iter().any(&is_unsure)).filter_map(|(_, conflict)| conflict).collect()
}

/// The keys that a check looks at, and what it found.
type Checked = (&'static [&'static str], Option<Conflict>);

/// What only the size of the data set shows.
fn of_size(stage: &Stage, dataset: &Dataset, images: ImageCounts) -> Vec<Checked> {
    let large = |batch_size| (&["batch_size"][..], large_batch(batch_size, dataset, images));
    // A classifier takes what there is where a batch is larger, as the default is than a small folder.
    let is_folder = dataset.counts().is_none();
    let classifier =
        |batch_size| (&["batch_size"][..], large_batch(batch_size, dataset, images).filter(|_| !is_folder));
    let labelled =
        |share, validation| (&["label_fraction", "validation"][..], labels(validation, share, dataset, images));
    match stage {
        Stage::Contrastive(stage) => {
            vec![large(stage.batch_size), (&["validation", "batch_size"][..], held_out_views(stage, dataset, images))]
        }
        Stage::Supervised(stage) => {
            vec![classifier(stage.batch_size), labelled(stage.label_fraction, stage.validation)]
        }
        Stage::Finetune(stage) => vec![classifier(stage.batch_size), labelled(stage.label_fraction, stage.validation)],
        Stage::Linear(stage) => vec![labelled(stage.label_fraction, 0.0)],
        Stage::Attack(_) => Vec::new(),
    }
}

/// What is wrong with a job on a data set of this size, which only whoever has read it knows.
pub(super) fn with_images(stage: &Stage, dataset: &Dataset, images: ImageCounts) -> Option<String> {
    let found = of_size(stage, dataset, images).into_iter().find_map(|(_, conflict)| conflict);
    found.map(|(key, message)| format!("`{key}`: {message}"))
}

/// Some of the labels, and a part of those held out.
fn labels(validation: f64, share: f64, dataset: &Dataset, images: ImageCounts) -> Option<Conflict> {
    // A folder's classes have as many as that on average: where that is too few, it is for those that have fewer.
    let each = images.train as f64 / images.classes as f64;
    fraction(share, dataset, each).or_else(|| held_out(validation, share, each))
}

/// The label fraction must leave an image of each class.
fn fraction(fraction: f64, dataset: &Dataset, each: f64) -> Option<Conflict> {
    ((fraction * each).round() < 1.0).then(|| {
        // Rounded up, so that it is enough.
        let least = (1e6 * 0.5 / each).ceil() / 1e6;
        let message = format!(
            "a label fraction of {fraction} leaves no image of a class: {dataset} has {each:.0} of each{}; use at least {least}",
            if dataset.counts().is_none() { " on average" } else { "" }
        );
        ("label_fraction", message)
    })
}

/// At least one image of each class is held out, and one must be left to train on.
fn held_out(share: f64, fraction: f64, each: f64) -> Option<Conflict> {
    let labelled = (fraction * each).round();
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
fn held_out_views(stage: &Contrastive, dataset: &Dataset, images: ImageCounts) -> Option<Conflict> {
    let (images, batch_size) = (images.train, u64::from(stage.batch_size));
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
        let words: Vec<String> = able.iter().map(word).collect();
        let message = format!(
            "`attack = {}` knows {}, not {}; plb, fmn and best-of know all four norms",
            word(attack),
            words.join(", "),
            word(norm)
        );
        ("norm", message)
    })
}

/// As it stands in the file.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
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

fn split(batch_size: u32, shards: u32, batch_norm: BatchNorm) -> Option<Conflict> {
    let message = if !batch_size.is_multiple_of(shards) {
        format!("a batch of {batch_size} images cannot be split into {shards} equal shards")
    } else if batch_size < 2 || (batch_norm == BatchNorm::Shard && batch_size / shards < 2) {
        format!("{shards} shards of a batch of {batch_size} hold one image each; BatchNorm needs at least 2")
    } else {
        return None;
    };
    Some(("batch_size", message))
}

fn large_batch(batch_size: u32, dataset: &Dataset, ImageCounts { train, .. }: ImageCounts) -> Option<Conflict> {
    (u64::from(batch_size) > train).then(|| {
        let message =
            format!("a batch of {batch_size} is larger than the training set of {dataset}, which has {train} images");
        ("batch_size", message)
    })
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

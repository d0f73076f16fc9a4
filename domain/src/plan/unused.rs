//! Keys that are written but would not be read. They are refused, because their writer expects an effect.

use super::conflict::Conflict;
use crate::spec::{
    Attack, AttackMethod, Contrastive, Layerwise, Linear, LinearSolver, PenaltyMethod, PenaltyScaling, PlbSteps,
    Preset, Stage, Tikhonov,
};

/// Keys on which it depends which others are read.
const DECISIVE: &[&str] = &["tikhonov", "layerwise", "augment", "solver", "images", "draw", "attack", "preset", "plb"];

/// The `written` keys that no variant of a job reads; in a sweep one variant that reads it is enough. Nothing is said where a
/// decisive key is `unsure`.
pub(super) fn find<'a>(
    variants: impl IntoIterator<Item = &'a Stage>,
    written: impl Fn(&str) -> bool,
    unsure: &[String],
) -> Vec<Conflict> {
    if unsure.iter().any(|key| DECISIVE.contains(&key.split('.').next().unwrap_or_default())) {
        return Vec::new();
    }
    let mut variants = variants.into_iter();
    let mut common = variants.next().map(keys).unwrap_or_default();
    for variant in variants {
        let own = keys(variant);
        common.retain(|(key, _)| own.iter().any(|(other, _)| other == key));
    }
    let common = common.into_iter().filter(|(key, _)| written(key));
    common.map(|(key, use_of_it)| (key, format!("`{key}` is for {use_of_it}; remove it, or write that"))).collect()
}

/// Keys that this stage does not read, and what does read them.
fn keys(stage: &Stage) -> Vec<(&'static str, &'static str)> {
    match stage {
        Stage::Contrastive(stage) => contrastive(stage),
        Stage::Supervised(stage) => penalty(&stage.tikhonov, stage.tikhonov.scaling == Some(PenaltyScaling::BatchSum)),
        Stage::Finetune(stage) => penalty(&stage.tikhonov, stage.tikhonov.scaling == Some(PenaltyScaling::BatchSum)),
        Stage::Linear(stage) => linear(stage),
        Stage::Attack(stage) => attack(stage),
    }
}

fn contrastive(stage: &Contrastive) -> Vec<(&'static str, &'static str)> {
    let mut unused = penalty(&stage.tikhonov, stage.tikhonov.scaling != Some(PenaltyScaling::PerSample));
    if stage.augment.gray == 0.0 {
        unused.push(("augment.gray_weights", "images that lose their colours (`augment.gray` above 0)"));
    }
    if let Some(Layerwise { beta, .. }) = &stage.layerwise {
        unused.push(("tikhonov.scaling", "jobs without `layerwise`, whose penalties are those of eq. (5)"));
        if !beta.is_empty() {
            unused.push(("tikhonov.lambda", "`layerwise.beta_ratio`, and `beta` lists its weights itself"));
            unused.push(("tikhonov.rescale", "`layerwise.beta_ratio`, and `beta` lists its weights itself"));
        }
    }
    unused
}

/// `by_batch`: the penalty is scaled as in eq. (3).
fn penalty(tikhonov: &Tikhonov, by_batch: bool) -> Vec<(&'static str, &'static str)> {
    let mut unused = Vec::new();
    if tikhonov.method == PenaltyMethod::Exact {
        let difference = "`tikhonov.method = \"finite-difference\"`";
        unused.extend([("tikhonov.h", difference), ("tikhonov.direction", difference)]);
    }
    if !by_batch {
        unused.push(("tikhonov.rescale", "eq. (3) (`tikhonov.scaling = \"batch_sum\"`), which falls as 1/N"));
    }
    unused
}

/// L-BFGS uses all images at once, without augmentation.
fn linear(stage: &Linear) -> Vec<(&'static str, &'static str)> {
    match stage.solver {
        LinearSolver::Lbfgs => {
            ["batch_size", "optimizer", "crop_area_min"].map(|key| (key, "`solver = \"sgd\"`")).into()
        }
        LinearSolver::Sgd => vec![("ridge", "`solver = \"lbfgs\"`; SGD has `optimizer.weight_decay`")],
    }
}

fn attack(stage: &Attack) -> Vec<(&'static str, &'static str)> {
    use AttackMethod::{BestOf, Pgd, Plb};
    let (method, paper) = (stage.attack, stage.preset == Preset::Paper);
    let mut unused = Vec::new();
    if stage.images == 0 {
        let few = "an attack on some of the images (`images`), and this one is on all";
        unused.extend([("draw", few), ("draw_seed", few)]);
    } else if stage.draw.is_none() {
        // "first", once the defaults are filled in.
        unused.push(("draw_seed", "`draw = \"balanced\"`"));
    }
    if method != Pgd {
        unused.push(("loss", "`attack = \"pgd\"`"));
    }
    if !matches!(method, Pgd | Plb | BestOf) {
        unused.push(("preset", "`attack = \"pgd\"` and `\"plb\"`"));
    }
    if method == Pgd && paper {
        unused.push(("restarts", "attacks from random points, and `preset = \"paper\"` begins at the image itself"));
    }
    if method == Plb {
        unused.push(("steps", "other attacks, and those of plb are `plb.outer` times `plb.inner`"));
    }
    if !matches!(method, Plb | BestOf) {
        unused.push(("plb", "`attack = \"plb\"`"));
    } else if paper {
        unused.push(("plb.early_stop", "`preset = \"reference\"`: the paper took every image through all steps"));
    } else if stage.plb.steps == PlbSteps::Relative {
        let published = "`plb.steps = \"published\"`";
        let constants = ["plb.outer", "plb.inner", "plb.dt", "plb.mu", "plb.alpha", "plb.beta", "plb.gamma"];
        unused.extend(constants.map(|key| (key, published)));
    }
    unused
}

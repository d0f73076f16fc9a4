//! Adversarial examples: the passes of each image.

use super::{
    count::{Estimate, Job, gflop},
    memory,
};
use crate::plan::architecture::Cost;
use crate::spec::{Attack, AttackMethod, Norm, PlbSteps, Preset};

/// Time of a pass relative to one in training, as BatchNorms are fused into convolutions (measured with resnet-tiny).
const FUSED: f64 = 0.79;
/// Passes of a gradient by the pixels: forward, and as much backward.
const GRADIENT: f64 = 2.0;
/// Passes of a check whether an image is still classified correctly.
const CHECK: f64 = 1.0;
/// Images times passes of the gates, about, whatever is attacked (`learn/src/attack/gates.rs`).
const GATES: f64 = 20_000.0;

pub(super) fn attack(job: Job<'_>, stage: &Attack, encoder: Cost) -> Estimate {
    let network = encoder.with_classifier(1, job.images.classes);
    let images = match stage.images {
        0 => job.images.test,
        images => job.images.test.min(images.into()),
    };
    let methods: &[AttackMethod] = match stage.attack {
        AttackMethod::BestOf => best_of(stage.norm),
        _ => std::slice::from_ref(&stage.attack),
    };
    let efforts: Vec<Effort> = methods.iter().map(|method| effort(*method, stage)).collect();
    let passes: f64 = efforts.iter().map(|effort| effort.passes * effort.fraction).sum();
    Estimate {
        steps: efforts.iter().map(|effort| effort.steps).sum(),
        images_per_epoch: images,
        images,
        parameters: network.parameters,
        gflop: gflop(FUSED * network.macs as f64 * ((passes + CHECK) * images as f64 + GATES)),
        memory_bytes: memory::attack(job, network, u64::from(stage.batch_size).min(images.max(1))),
    }
}

/// The attacks of `best-of`.
fn best_of(norm: Norm) -> &'static [AttackMethod] {
    use AttackMethod::{Apgd, ApgdT, Ddn, Fab, Fmn, Pgd, Plb, Square};
    match norm {
        // PGD once on the cross-entropy, once on the margin.
        Norm::L2 => &[Plb, Fmn, Ddn, Fab, Pgd, Pgd, Apgd, ApgdT, Square],
        Norm::Linf => &[Plb, Fmn, Fab, Pgd, Pgd, Apgd, ApgdT, Square],
        Norm::L1 => &[Plb, Fmn, Fab],
        Norm::L0 => &[Plb, Fmn],
    }
}

/// The cost of an image that is never misclassified.
struct Effort {
    steps: u64,
    /// In forward passes.
    passes: f64,
    /// The fraction of it that an undefended net's images take on average: misclassified images are not attacked, those
    /// misclassified at a smaller radius are left out at larger ones, and some attacks stop early.
    fraction: f64,
}

/// Fraction of images that a small undefended net classifies correctly. Half of them are left at the radius
/// `half_left`, a quarter at twice that, and so on.
const RIGHT: f64 = 0.6;
fn half_left(norm: Norm) -> f64 {
    match norm {
        Norm::L0 => 10.0,
        Norm::L1 => 2.0,
        Norm::L2 => 0.25,
        Norm::Linf => 2.0 / 255.0,
    }
}

/// The fraction of images that are still attacked, averaged over a grid's radii.
fn remaining(norm: Norm, grid: &[f64]) -> f64 {
    let left: f64 = grid.iter().map(|radius| 0.5f64.powf(radius / half_left(norm))).sum();
    RIGHT * left / grid.len().max(1) as f64
}

/// Targets of the targeted attacks: the most likely wrong classes.
const TARGETS: u64 = 9;

/// Gradients of ProxLogBarrier in l1 and l0, those of the FMN that it begins with included.
const SPARSE_STEPS: u64 = 50;

fn is_sparse(stage: &Attack) -> bool {
    let relative = stage.plb.steps == PlbSteps::Relative && stage.preset == Preset::Reference;
    relative && matches!(stage.norm, Norm::L0 | Norm::L1)
}

fn effort(method: AttackMethod, stage: &Attack) -> Effort {
    let grid = stage.grid();
    let radii = grid.len() as u64;
    let restarts = u64::from(stage.restarts);
    let iterations = |default: u32| u64::from(stage.steps.unwrap_or(default));
    let climb =
        |steps: u64, each: f64| Effort { steps, passes: each * steps as f64, fraction: remaining(stage.norm, &grid) };
    match method {
        AttackMethod::Plb if is_sparse(stage) => {
            let steps = SPARSE_STEPS * restarts;
            Effort { steps, passes: (GRADIENT + 0.5 * CHECK) * steps as f64, fraction: RIGHT }
        }
        AttackMethod::Plb => {
            let steps = u64::from(stage.plb.outer) * u64::from(stage.plb.inner) * restarts;
            // A gradient and a check of the new point, with a second check every other time after backtracking. With
            // early stopping an image takes one or two dozen of its 900 steps.
            let fraction = if stage.plb.early_stop && stage.preset != Preset::Paper { 0.02 } else { 0.8 };
            Effort { steps, passes: (GRADIENT + 1.5 * CHECK) * steps as f64, fraction }
        }
        AttackMethod::Pgd => {
            let steps = iterations(if stage.preset == Preset::Paper { 20 } else { 40 });
            climb(steps * restarts * radii, GRADIENT)
        }
        AttackMethod::Apgd => climb(iterations(100) * restarts * radii, GRADIENT),
        AttackMethod::ApgdT => climb(iterations(100) * TARGETS * restarts * radii, GRADIENT),
        AttackMethod::Square => climb(iterations(5000) * restarts * radii, CHECK),
        AttackMethod::Fab => {
            let steps = iterations(100) * TARGETS * restarts;
            // A gradient for each side of the boundary, and checks of the new point.
            Effort { steps, passes: (GRADIENT + 2.0 * CHECK) * steps as f64, fraction: 0.8 }
        }
        // All steps, of all images that were classified correctly.
        AttackMethod::Fmn | AttackMethod::Ddn => {
            let steps = iterations(if method == AttackMethod::Fmn { 200 } else { 100 }) * restarts;
            Effort { steps, passes: GRADIENT * steps as f64, fraction: RIGHT }
        }
        AttackMethod::BestOf => Effort { steps: 0, passes: 0.0, fraction: 0.0 },
    }
}

//! Classifiers: from scratch, on a frozen encoder, and fine-tuned.

use super::{
    count::{Estimate, Job, PLAIN, gflop, labelled, penalty, world_size},
    memory,
};
use crate::plan::architecture::Cost;
use crate::spec::{Finetune, Linear, LinearSolver, OptimizerName, Precision, Supervised, Tikhonov};

pub(super) fn supervised(job: Job<'_>, stage: &Supervised, encoder: Cost) -> Estimate {
    let network = encoder.with_classifier(1, job.images.classes);
    let training = Training {
        epochs: stage.epochs,
        steps: stage.steps,
        batch_size: stage.batch_size,
        label_fraction: stage.label_fraction,
        validation: stage.validation,
        head_epochs: 0.0,
        tikhonov: stage.tikhonov,
        precision: stage.precision,
        optimizer: stage.optimizer.name,
    };
    training.cost(job, network)
}

pub(super) fn finetune(job: Job<'_>, stage: &Finetune, encoder: Cost) -> Estimate {
    let network = encoder.with_classifier(stage.head_layers, job.images.classes);
    let training = Training {
        epochs: stage.epochs,
        steps: stage.steps,
        batch_size: stage.batch_size,
        label_fraction: stage.label_fraction,
        validation: stage.validation,
        head_epochs: stage.head_epochs,
        tikhonov: stage.tikhonov,
        precision: stage.precision,
        optimizer: stage.optimizer.name,
    };
    training.cost(job, network)
}

/// The most evaluations on the held-out images with a budget in steps (`learn/src/stage/classifier`).
const EVALUATIONS_MAX: u64 = 50;

/// What supervised and fine-tuning jobs have in common.
struct Training {
    epochs: u32,
    steps: Option<u32>,
    batch_size: u32,
    label_fraction: f64,
    validation: f64,
    head_epochs: f64,
    tikhonov: Tikhonov,
    precision: Precision,
    optimizer: OptimizerName,
}

impl Training {
    fn cost(&self, job: Job<'_>, network: Cost) -> Estimate {
        let labelled = labelled(job, self.label_fraction);
        let validation = (labelled as f64 * self.validation).round() as u64;
        // The last, smaller batch of an epoch is dropped, unless it is the only one.
        let batch_size = u64::from(self.batch_size).min(labelled - validation);
        let steps_per_epoch = (labelled - validation).checked_div(batch_size).unwrap_or(0);
        let images_per_epoch = steps_per_epoch * batch_size;
        let steps = self.steps.map_or(steps_per_epoch * u64::from(self.epochs), u64::from);
        let images = steps * batch_size;

        let epochs = steps.checked_div(steps_per_epoch).unwrap_or(0);
        let evaluations = if self.steps.is_some() { epochs.min(EVALUATIONS_MAX) } else { epochs };
        let evaluated = evaluations * validation + 2 * job.images.test;
        // While only the head is trained, the encoder has no backward pass.
        let head_only = (self.head_epochs * images_per_epoch as f64).min(images as f64);
        let penalised = self.tikhonov.lambda > 0.0;
        let passes = PLAIN + if penalised { penalty(self.tikhonov.method) } else { 0.0 };
        let passed = passes * (images as f64 - head_only) + head_only + evaluated as f64;

        let own = batch_size.div_ceil(world_size(job));
        let again = if penalised { memory::penalties(self.tikhonov.method, &[network.saved]) } else { 0 };
        let step = memory::Step {
            saved: memory::width(self.precision) * ((network.saved + again) * own) as f64,
            shard_views: batch_size as f64 / f64::from(job.spec.shards),
            optimizer: self.optimizer,
            evaluates: true,
        };
        Estimate {
            steps,
            images_per_epoch,
            images,
            parameters: network.parameters,
            gflop: gflop(network.macs as f64 * passed),
            memory_bytes: memory::training(job, network, &step),
        }
    }
}

/// Ridges and held-out parts if no ridge is written, and the labels from which one part is enough (see `learn`).
const RIDGES: u64 = 11;
const FOLDS: u64 = 5;
const ONE_FOLD_FROM: u64 = 10_000;
/// Iterations that L-BFGS typically makes, with the evaluations of its line search: fewer with a strong ridge, more with a
/// weak one.
const ITERATIONS: f64 = 60.0;

/// The encoder is frozen. For L-BFGS each labelled image passes through it twice, as it is and mirrored; SGD passes new
/// crops through it in each epoch.
pub(super) fn linear(job: Job<'_>, stage: &Linear, encoder: Cost) -> Estimate {
    let classes = job.images.classes;
    let labelled = labelled(job, stage.label_fraction);
    let epochs = u64::from(stage.epochs);
    let head = (encoder.features() + 1) * classes;
    let (steps, images, macs) = match stage.solver {
        LinearSolver::Lbfgs => {
            let parts = if labelled < ONE_FOLD_FROM { FOLDS } else { 1 };
            let solved = 1 + if stage.ridge.is_none() { RIDGES * parts } else { 0 };
            // Logits and the derivative by the weights: two products an evaluation.
            let regression = ITERATIONS.min(epochs as f64) * (2 * head * 2 * labelled * solved) as f64;
            let seen = 2 * labelled + job.images.test;
            (epochs, labelled, (encoder.macs * seen) as f64 + regression)
        }
        LinearSolver::Sgd => {
            let batch_size = u64::from(stage.batch_size).min(labelled);
            let steps_per_epoch = labelled.checked_div(batch_size).unwrap_or(0);
            let images = steps_per_epoch * batch_size * epochs;
            let seen = images + job.images.test;
            (steps_per_epoch * epochs, images, ((encoder.macs + 2 * head) * seen) as f64)
        }
    };
    let features = 4 * encoder.features() * (2 * labelled + job.images.test);
    Estimate {
        steps,
        images_per_epoch: labelled,
        images,
        parameters: encoder.parameters + head,
        gflop: gflop(macs),
        memory_bytes: memory::frozen(job, encoder, features),
    }
}

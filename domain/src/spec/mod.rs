//! The experiment file: what a person submits, as types.
//!
//! `template` is the file as written (sweeps not yet expanded); `stage` holds what each kind of job
//! needs; `job` is one node after expansion, which is what is stored, scheduled and trained.

mod job;
mod stage;

pub use job::{Dataset, JobSpec, Workers};
pub use stage::{
    Attack, AttackMethod, Augment, BatchNorm, Contrastive, Encoder, Finetune, Head, Isolate, Layerwise, Linear,
    LinearSolver, Monitor, Norm, Optimizer, OptimizerName, PenaltyMethod, PenaltyScaling, Schedule, Stage, Supervised,
    Tikhonov,
};

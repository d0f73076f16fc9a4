//! The words of the experiment file as types.
//!
//! `stage` holds what each kind of job needs; `job` is one node of the graph after sweeps are expanded, which is what
//! is stored, scheduled and trained. How a file becomes jobs is [`crate::plan`].

mod job;
mod stage;

pub use job::{Dataset, JobSpec, SHAPES_TEST, SHAPES_TRAIN, Workers};
pub use stage::{
    Attack, AttackMethod, Augment, BatchNorm, Contrastive, Encoder, Finetune, Head, Isolate, Layerwise, Linear,
    LinearSolver, Monitor, Norm, Optimizer, OptimizerName, PenaltyMethod, PenaltyScaling, Schedule, Stage, Supervised,
    Tikhonov,
};

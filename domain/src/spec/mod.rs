//! The types of the experiment file.
//!
//! `stage` has the parameters of each kind of job; `job` is one node of the graph after sweeps are expanded, which is
//! what is stored, scheduled and trained. [`crate::plan`] turns a file into jobs.

mod attack;
mod job;
mod network;
mod optimizer;
mod penalty;
mod stage;

/// Version of the form of a [`JobSpec`]: raised with every field or value that older programs cannot read. A program reads
/// its own version and all before it.
pub const SPEC_VERSION: u32 = 3;

pub use attack::{Attack, AttackLoss, AttackMethod, Draw, Norm, Plb, PlbSteps, Preset};
pub use job::{Dataset, ImageCounts, JobSpec, SHAPES_TEST, SHAPES_TRAIN, Workers};
pub use network::{BatchNorm, Encoder, Head, HeadNorm, Precision, Recompute, ViewPasses};
pub use optimizer::{Optimizer, OptimizerName, Schedule};
pub use penalty::{Direction, Isolate, Layerwise, PenaltyMethod, PenaltyScaling, Tikhonov};
pub use stage::{
    Augment, Contrastive, Finetune, GrayWeights, Linear, LinearSolver, Monitor, PadCrop, Stage, Supervised,
};

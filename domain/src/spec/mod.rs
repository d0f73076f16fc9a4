//! The words of the experiment file as types.
//!
//! `stage` holds what each kind of job needs; `job` is one node of the graph after sweeps are expanded, which is what
//! is stored, scheduled and trained. How a file becomes jobs is [`crate::plan`].

mod attack;
mod job;
mod network;
mod optimizer;
mod penalty;
mod stage;

pub use attack::{Attack, AttackLoss, AttackMethod, Norm, Plb, PlbSteps, Preset};
pub use job::{Dataset, JobSpec, SHAPES_TEST, SHAPES_TRAIN, Workers};
pub use network::{BatchNorm, Encoder, Head, Precision, Recompute};
pub use optimizer::{Optimizer, OptimizerName, Schedule};
pub use penalty::{Direction, Isolate, Layerwise, PenaltyMethod, PenaltyScaling, Tikhonov};
pub use stage::{Augment, Contrastive, Finetune, Linear, LinearSolver, Monitor, PadCrop, Stage, Supervised};

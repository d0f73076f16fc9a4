//! Logistic regression on frozen features (the paper's stage 2), a convex problem: `logistic` is the problem, `lbfgs`
//! solves it, `ridge` chooses its regularisation.

mod lbfgs;
mod logistic;
mod ridge;

pub use lbfgs::{Differentiable, Lbfgs, Minimum};
pub use logistic::{Layer, Logistic, Standardised, accuracy};
pub use ridge::{Choice, choose};

//! The layer-by-layer losses of eqs. (4) and (5), as terms of a step's objective.

use tandem_domain::spec::{Layerwise, Tikhonov};

use crate::encoder::LayerwiseModel;
use crate::objective::LossTerm;
use crate::penalty;

/// One term for each stage: α_k L_k + β_k R_k, with R_k = S_k / 2 as in eqs. (3) and (5), on batches of `images`.
///
/// `isolate` keeps the gradients of a stage's loss *and* penalty from the weights of the stages below. The penalty
/// itself is still that of eq. (5), by the images.
pub fn terms(spec: &Layerwise, tikhonov: &Tikhonov, model: &LayerwiseModel, images: u32) -> Vec<LossTerm> {
    let tikhonov = Tikhonov { lambda: penalty::lambda(tikhonov, images), ..*tikhonov };
    let (alphas, betas) = (spec.alphas(), spec.betas(&tikhonov));
    let term = |(k, &weight): (usize, &f64)| LossTerm {
        weight,
        penalty: betas.get(k).map_or(0.0, |beta| beta / 2.0),
        reach: model.reach(spec.isolate, k),
    };
    alphas.iter().enumerate().map(term).collect()
}

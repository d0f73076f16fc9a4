//! Bisection on the segment from a clean image to a misclassified one, for the point where the class changes.
//!
//! Attacks that minimise a norm end with it: a halving costs one forward pass and never makes the distance larger.

use tch::{Kind, Tensor};

use super::{Target, norm, target};

/// For each row the misclassified point nearest to `clean` that `halvings` halvings find; `far` itself if it is not
/// misclassified. Images are `[B, 3, H, W]`, `labels` i64 `[B]`.
pub(super) fn bisect(net: &dyn Target, clean: &Tensor, far: &Tensor, labels: &Tensor, halvings: u32) -> Tensor {
    let way = far - clean;
    let mut right = Tensor::zeros([clean.size()[0]], (Kind::Float, clean.device()));
    let mut wrong = right.ones_like();
    let mut nearest = far.copy();
    for _ in 0..halvings {
        let middle = (&right + &wrong) * 0.5;
        // Rounding may go a little beyond [0, 1] where both ends lie on its border.
        let candidate = norm::clip(&(clean + &way * norm::per_image(&middle)));
        let errs = target::misclassified(&target::logits(net, &candidate), labels);
        nearest = candidate.where_self(&norm::per_image(&errs), &nearest);
        wrong = middle.where_self(&errs, &wrong);
        right = right.where_self(&errs, &middle);
    }
    nearest
}

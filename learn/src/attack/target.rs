//! What is attacked, and what attacks compute with it.

use tch::{Kind, Tensor};

use super::norm;
use crate::classifier::Classifier;
use crate::progress;

/// A classifier in evaluation mode.
///
/// Each row of logits must be a function of that row's image alone (BatchNorm by its running statistics, no dropout), since
/// attacks take broken images out of the batch, which must not change the results of the others.
pub trait Target {
    /// f32 `[B, 3, H, W]` in [0, 1] to logits `[B, C]`. Keeps a graph to `images` if these require a gradient, and none to
    /// the weights.
    fn logits(&self, images: &Tensor) -> Tensor;

    /// The number of classes, C.
    fn classes(&self) -> i64;
}

/// Logits f32 `[B, C]` without a graph, whatever the precision of the net.
pub fn logits(target: &dyn Target, images: &Tensor) -> Tensor {
    tch::no_grad(|| target.logits(images).to_kind(Kind::Float))
}

/// Which images are misclassified, bool `[B]`. Of equal logits the lowest class counts, as in `argmax`.
pub fn misclassified(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.argmax(1, false).ne_tensor(labels)
}

/// What one forward and backward pass says of a batch.
#[derive(Debug)]
pub struct ValueAndGrad {
    /// f32 `[B, C]`
    pub logits: Tensor,
    /// f32 `[B]`, one loss an image.
    pub loss: Tensor,
    /// f32 `[B, 3, H, W]`: of each image's loss by its own pixels.
    pub gradient: Tensor,
}

/// One forward and backward pass. `loss` maps logits `[B, C]` to one loss an image, `[B]`.
pub fn value_and_grad(target: &dyn Target, images: &Tensor, loss: impl FnOnce(&Tensor) -> Tensor) -> ValueAndGrad {
    tch::with_grad(|| {
        let images = images.detach().set_requires_grad(true);
        let logits = target.logits(&images).to_kind(Kind::Float);
        let loss = loss(&logits);
        // Rows do not depend on each other, so the sum's gradient by an image is that of the image's own loss.
        let gradient = Tensor::run_backward(&[loss.sum(Kind::Float)], &[&images], false, false).swap_remove(0);
        ValueAndGrad {
            logits: logits.detach(),
            loss: loss.detach(),
            gradient: gradient.to_kind(Kind::Float).contiguous(),
        }
    })
}

/// Bisects the segments from clean images to misclassified ones, `far`; each halving is one forward pass. Returns for each
/// row the misclassified point nearest to `clean` that was found, or `far` itself if it is not misclassified. Images are
/// `[B, 3, H, W]`, `labels` i64 `[B]`.
pub(super) fn bisect(target: &dyn Target, clean: &Tensor, far: &Tensor, labels: &Tensor, halvings: u32) -> Tensor {
    let way = far - clean;
    let mut right = Tensor::zeros([clean.size()[0]], (Kind::Float, clean.device()));
    let mut wrong = right.ones_like();
    let mut nearest = far.copy();
    for _ in 0..halvings {
        let middle = (&right + &wrong) * 0.5;
        // Rounding may go a little beyond [0, 1] where both ends lie on its border.
        let candidate = norm::clip(&(clean + &way * norm::per_image(&middle)));
        let errs = misclassified(&logits(target, &candidate), labels);
        nearest = candidate.where_self(&norm::per_image(&errs), &nearest);
        wrong = middle.where_self(&errs, &wrong);
        right = right.where_self(&errs, &middle);
    }
    nearest
}

impl Target for Classifier {
    fn logits(&self, images: &Tensor) -> Tensor {
        let logits = Self::logits(self, images);
        progress::work_done();
        logits
    }

    fn classes(&self) -> i64 {
        Self::classes(self)
    }
}

//! What is attacked, and its gradient by the images.

use tch::{Kind, Tensor};

use crate::classifier::Classifier;
use crate::progress;

/// A classifier, as it is evaluated.
///
/// Each row of logits must be a function of that row's image alone (BatchNorm by its running statistics, no dropout):
/// attacks re-batch images as they fall, and the result of an image must not notice.
pub trait Target {
    /// f32 `[B, 3, H, W]` in [0, 1] to logits `[B, C]`; with a graph to `images` if these require a gradient, with none to
    /// weights.
    fn logits(&self, images: &Tensor) -> Tensor;

    /// C
    fn classes(&self) -> i64;
}

/// Logits `[B, C]` in f32 without a graph, whatever precision the net has.
pub fn logits(target: &dyn Target, images: &Tensor) -> Tensor {
    tch::no_grad(|| target.logits(images).to_kind(Kind::Float))
}

/// Which images are misclassified: bool `[B]`. Equal logits count for the lowest class, as in `argmax`.
pub fn misclassified(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.argmax(1, false).ne_tensor(labels)
}

/// One look at a batch: what the net says, what the loss is, and where it rises.
#[derive(Debug)]
pub struct ValueAndGrad {
    /// f32 `[B, C]`
    pub logits: Tensor,
    /// f32 `[B]`, one loss an image.
    pub loss: Tensor,
    /// f32 `[B, 3, H, W]`: of each image's loss by its own pixels.
    pub gradient: Tensor,
}

/// Forward and backward once. `loss` maps logits `[B, C]` to one loss an image, `[B]`.
pub fn value_and_grad(target: &dyn Target, images: &Tensor, loss: impl FnOnce(&Tensor) -> Tensor) -> ValueAndGrad {
    tch::with_grad(|| {
        let images = images.detach().set_requires_grad(true);
        let logits = target.logits(&images).to_kind(Kind::Float);
        let loss = loss(&logits);
        // The sum's gradient by an image is that image's own: rows do not see each other.
        let gradient = Tensor::run_backward(&[loss.sum(Kind::Float)], &[&images], false, false).swap_remove(0);
        ValueAndGrad {
            logits: logits.detach(),
            loss: loss.detach(),
            gradient: gradient.to_kind(Kind::Float).contiguous(),
        }
    })
}

impl Target for Classifier {
    fn logits(&self, images: &Tensor) -> Tensor {
        let logits = Self::logits(self, images);
        progress::beat();
        logits
    }

    fn classes(&self) -> i64 {
        Self::classes(self)
    }
}

//! What is attacked, and the gradient of a loss by the images.

use tch::{Kind, Tensor};

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

//! A trained classifier as it is evaluated, attacked and exported: the same function of the images each time.

use tch::Tensor;

use crate::encoder::{FusedBatchNorm, Head, Model};

/// Encoder and fully connected layers, with BatchNorm by its running statistics. Images are in [0, 1], not normalised.
#[derive(Debug)]
pub struct Classifier {
    model: Model,
    fused: FusedBatchNorm,
}

impl Classifier {
    /// Freezes the model's weights. `None` unless its head is of fully connected layers.
    pub fn new(model: Model) -> Option<Self> {
        let classifies = matches!(model.head, Some(Head::FullyConnected(_)));
        classifies.then(|| {
            let model = model.frozen();
            Self { fused: model.fuse(), model }
        })
    }

    /// f32 `[B, 3, H, W]` in [0, 1] to `[B, C]`, each row a function of its image alone. There is a graph to images
    /// that require gradients, never to the weights.
    pub fn logits(&self, images: &Tensor) -> Tensor {
        self.model.evaluate_fused(images, &self.fused)
    }

    pub fn classes(&self) -> i64 {
        match &self.model.head {
            Some(Head::FullyConnected(head)) => head.classes(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::spec::{self, Encoder};
    use tch::{Device, Kind};

    #[test]
    fn gradients_reach_the_images_and_not_the_weights() {
        tch::manual_seed(5);
        let images = Tensor::rand([4, 3, 32, 32], (Kind::Float, Device::Cpu));
        let model = Model::classifier(Encoder::ResNetTiny, 2, 7, 1, Device::Cpu).unwrap();
        let weights = model.parameters.vector().shallow_clone();
        let classifier = Classifier::new(model).unwrap();
        assert_eq!((classifier.classes(), classifier.logits(&images).size()), (7, vec![4, 7]));
        assert!(!classifier.logits(&images).requires_grad() && !weights.requires_grad());

        let images = images.set_requires_grad(true);
        let logits = classifier.logits(&images);
        let gradient = Tensor::run_backward(&[logits.sum(Kind::Float)], &[&images], false, false).remove(0);
        let least = gradient.abs().amax([1, 2, 3].as_slice(), false).min();
        assert!(least.double_value(&[]) > 0.0, "every image has a gradient");
        // Row by row: the gradient of one image's logits stays in that image.
        let alone =
            Tensor::run_backward(&[classifier.logits(&images).get(2).sum(Kind::Float)], &[&images], false, false)
                .remove(0);
        let elsewhere = Tensor::cat(&[alone.narrow(0, 0, 2), alone.narrow(0, 3, 1)], 0);
        assert_eq!(elsewhere.abs().max().double_value(&[]), 0.0);
        assert!(alone.get(2).abs().max().double_value(&[]) > 0.0);
    }

    #[test]
    fn a_projection_head_is_no_classifier() {
        for head in [Some(spec::Head::default()), None] {
            assert!(Classifier::new(Model::new(Encoder::ResNetTiny, head, 1, Device::Cpu).unwrap()).is_none());
        }
    }
}

//! In what the trainings of classifiers differ.

use tandem_domain::spec::{Augment, BatchNorm, Encoder, Optimizer, PadCrop, Precision, Tikhonov};
use tch::{Device, Tensor};

use crate::augment;
use crate::data;
use crate::encoder::Model;
use crate::failure::Failure;
use crate::optimizer::ParamGroup;
use crate::stage::checkpointing::CheckpointPolicy;

/// A stage's parameters, as the training loop needs them.
pub(in crate::stage) struct Recipe<'a> {
    pub encoder: Encoder,
    /// `None`: the encoder starts from first weights.
    pub pretrained: Option<Pretrained>,
    pub head_layers: u32,
    pub epochs: u32,
    pub steps: Option<u32>,
    pub batch_size: u32,
    pub label_fraction: f64,
    pub validation: f64,
    pub optimizer: &'a Optimizer,
    pub images: Augmentation,
    pub tikhonov: Tikhonov,
    pub batch_norm: BatchNorm,
    pub precision: Precision,
    /// Epochs at the beginning in which only the head is trained.
    pub head_epochs: f64,
    /// Learning rate of each stage of the encoder, as a share of that of the stage above it.
    pub rate_decay: f64,
    pub checkpoints: CheckpointPolicy,
    /// A second name under which the test accuracy is reported.
    pub alias: Option<&'static str>,
}

/// An encoder to start from.
pub(in crate::stage) struct Pretrained {
    pub model: Model,
    /// Of its file.
    pub sha256: String,
    /// Checksum of the images that it was trained on.
    pub images: String,
}

/// How training images are augmented.
pub(in crate::stage) enum Augmentation {
    Shifted(PadCrop),
    Views(Augment),
}

impl<'a> Recipe<'a> {
    /// One layer on an encoder from first weights, all trained at one rate on all labels, without a penalty. Stages set what
    /// they do otherwise.
    pub(in crate::stage) fn plain(encoder: Encoder, optimizer: &'a Optimizer, epochs: u32, batch_size: u32) -> Self {
        Self {
            encoder,
            pretrained: None,
            head_layers: 1,
            epochs,
            steps: None,
            batch_size,
            label_fraction: 1.0,
            validation: 0.0,
            optimizer,
            images: Augmentation::Shifted(PadCrop::default()),
            tikhonov: Tikhonov::default(),
            batch_norm: BatchNorm::default(),
            precision: Precision::default(),
            head_epochs: 0.0,
            rate_decay: 1.0,
            checkpoints: CheckpointPolicy::default(),
            alias: None,
        }
    }

    /// The network before its first step. The head's first weights are a function of the seed.
    pub(super) fn model(&self, classes: u32, seed: u64, device: Device) -> Result<Model, Failure> {
        let mut model = Model::classifier(self.encoder, self.head_layers, classes, seed, device)
            .ok_or_else(|| Failure::Unknown(format!("this version cannot build {:?}", self.encoder)))?;
        model.set_training(self.batch_norm, self.precision).map_err(Failure::Job)?;
        if let Some(pretrained) = &self.pretrained {
            model.copy_encoder(&pretrained.model);
        }
        Ok(model)
    }

    /// Which parameters are trained at which learning rate, and from which step on.
    pub(super) fn groups(&self, model: &Model, head_steps: u64, steps: u64) -> Vec<ParamGroup> {
        let mut groups: Vec<ParamGroup> = Vec::new();
        for (index, slot) in model.parameters.layout().slots().iter().enumerate() {
            let depth = depth(&slot.name);
            let (lr_factor, first_update) = (self.rate_decay.powi(depth), if depth == 0 { 0 } else { head_steps });
            match groups.last_mut() {
                Some(group) if (group.lr_factor, group.first_update) == (lr_factor, first_update) => {
                    group.slots.end = index + 1
                }
                _ => groups.push(ParamGroup { slots: index..index + 1, lr_factor, first_update }),
            }
        }
        groups.retain(|group| group.first_update < steps);
        groups
    }

    /// One shard's images, f32 `[samples, 3, 32, 32]`.
    pub(super) fn images(&self, train: &data::Images, samples: &[i64], seed: u64, epoch: u32, threads: u32) -> Tensor {
        match &self.images {
            Augmentation::Shifted(recipe) => augment::shifted(train, samples, recipe, seed, epoch, threads),
            Augmentation::Views(recipe) => augment::views(train, samples, 0, recipe, seed, epoch, threads),
        }
    }
}

/// How far below the head a parameter is: 0 in the head, 1 in the encoder's last stage, ..., 5 in the stem.
fn depth(name: &str) -> i32 {
    const STAGES: i32 = 4;
    match name.strip_prefix("layer").and_then(|rest| rest.split('.').next()?.parse::<i32>().ok()) {
        Some(stage) => STAGES + 1 - stage,
        None if name.starts_with("conv1.") || name.starts_with("bn1.") => STAGES + 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(optimizer: &Optimizer, rate_decay: f64) -> Recipe<'_> {
        Recipe { head_layers: 2, rate_decay, ..Recipe::plain(Encoder::ResNetTiny, optimizer, 1, 8) }
    }

    #[test]
    fn each_stage_has_its_share_of_the_learning_rate_above_it() {
        let (optimizer, names) =
            (Optimizer::finetune(), |slots: std::ops::Range<usize>, model: &Model| -> Vec<String> {
                model.parameters.layout().slots()[slots].iter().map(|slot| slot.name.clone()).collect()
            });
        let recipe = recipe(&optimizer, 0.5);
        let model = recipe.model(10, 1, Device::Cpu).unwrap();
        let groups = recipe.groups(&model, 3, 10);
        let rates: Vec<f64> = groups.iter().map(|group| group.lr_factor).collect();
        assert_eq!(rates, [1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 1.0]);
        assert!(groups.windows(2).all(|pair| pair[0].slots.end == pair[1].slots.start));
        assert_eq!((groups[0].slots.start, groups[5].slots.clone()), (0, model.head_slots()));
        assert!(names(groups[0].slots.clone(), &model).iter().eq(["conv1.weight", "bn1.weight", "bn1.bias"]));
        assert!(names(groups[4].slots.clone(), &model).iter().all(|name| name.starts_with("layer4.")));
        let first_updates: Vec<u64> = groups.iter().map(|group| group.first_update).collect();
        assert_eq!(first_updates, [3, 3, 3, 3, 3, 0]);
    }

    #[test]
    fn equal_rates_are_one_group_and_a_frozen_encoder_is_in_none() {
        let optimizer = Optimizer::finetune();
        let recipe = recipe(&optimizer, 1.0);
        let model = recipe.model(10, 1, Device::Cpu).unwrap();
        let all = model.parameters.layout().slots().len();
        assert_eq!(recipe.groups(&model, 0, 10), [ParamGroup { slots: 0..all, lr_factor: 1.0, first_update: 0 }]);
        assert_eq!(
            recipe.groups(&model, 10, 10),
            [ParamGroup { slots: model.head_slots(), lr_factor: 1.0, first_update: 0 }]
        );
    }
}

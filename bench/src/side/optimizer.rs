//! Our optimiser on the parameters of a ResNet-50: the whole update of one step, with given gradients.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_domain::spec::{self, Encoder, OptimizerName};
use tandem_learn::encoder::Model;
use tandem_learn::flat::FlatTensors;
use tandem_learn::optimizer::Optimizer;
use tch::{Device, Tensor};

use super::work::{Work, timed};

/// The settings of both sides. Our side writes tensors with torchvision's names to `folder`: the parameters,
/// `before.safetensors`; the gradient of every step, `gradient.safetensors`; and the parameters after `steps` of ours,
/// `after.safetensors`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OptimizerSetup {
    pub(crate) rule: OptimizerName,
    pub(crate) learning_rate: f64,
    pub(crate) momentum: f64,
    pub(crate) weight_decay: f64,
    pub(crate) trust: f64,
    pub(crate) threads: u32,
    pub(crate) steps: u32,
    pub(crate) folder: PathBuf,
}

/// How far the peer's parameters lie from ours after the set-up's steps, and how far they have moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OptimizerReply {
    /// The largest difference of an element.
    pub(crate) difference: f64,
    /// The largest movement of an element, in the tensor where it is smallest.
    pub(crate) moved: f64,
    pub(crate) version: String,
}

pub(crate) fn prepare(setup: OptimizerSetup) -> Result<(Value, Work)> {
    tch::set_num_threads(i32::try_from(setup.threads)?);
    let model = Model::new(Encoder::ResNet50, None, 1, Device::Cpu).context("ResNet-50 cannot be built")?;
    let spec = spec::Optimizer {
        name: setup.rule,
        lr: setup.learning_rate,
        momentum: setup.momentum,
        weight_decay: setup.weight_decay,
        trust: setup.trust,
        ..spec::Optimizer::default()
    };
    let mut optimizer = Optimizer::new(&spec, &model.parameters);
    tch::manual_seed(1);
    let layout = model.parameters.layout().clone();
    let gradient = FlatTensors::over(layout, model.parameters.vector().randn_like() * 0.01);
    let write = |flat: &FlatTensors, name: &str| write(flat, &setup.folder.join(name).with_extension("safetensors"));

    write(&model.parameters, "before")?;
    write(&gradient, "gradient")?;
    let lr = setup.learning_rate;
    for update in 0..u64::from(setup.steps) {
        optimizer.step(&model.parameters, gradient.vector().copy(), lr, update);
    }
    write(&model.parameters, "after")?;
    let work = timed(move || {
        optimizer.step(&model.parameters, gradient.vector().shallow_clone(), lr, 0);
        Ok(())
    });
    Ok((Value::Null, work))
}

fn write(flat: &FlatTensors, path: &Path) -> Result<()> {
    let tensors: Vec<(&str, Tensor)> =
        flat.named().map(|(slot, view)| (slot.name.as_str(), view.detach().contiguous())).collect();
    Tensor::write_safetensors(&tensors, path).with_context(|| format!("writing {}", path.display()))
}

//! A training step whose bits depend on the number of logical shards and on nothing else.
//!
//! A batch is cut into equal parts by position. Each shard has BatchNorm statistics of its own, over all views of its
//! images; a rank runs a contiguous block of shards one after the other. What must be the same everywhere is computed
//! from all shards' outputs on every rank alike; what is summed over shards (gradients, statistics, the wish to stop) is
//! summed once, along the fixed tree of `tandem_collective::tree_sum`. So the weights after a step are the same bits on
//! 1, 2 or 4 ranks, and all ranks stop at the same step.
//!
//! `objective` says what is minimised, `pass` is a forward pass of all ranks. The penalties of eqs.
//! (2), (3) and (5) are differentiated in `exact` and `finite`; `part` is what is summed in the end.

mod exact;
mod finite;
mod objective;
mod part;
mod pass;
mod rows;

use std::ops::Range;

use tandem_collective::{ProcessGroup, tree_sum};
use tch::Tensor;

use crate::failure::Failure;
use crate::network::Network;
use crate::progress;
pub use objective::{Difference, Objective, Term, Views};
use part::{Part, Sum, add_block};
use pass::{Context, Pass, derivatives, inner};

/// Which part of each batch is this rank's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    pub count: u32,
    pub rank: u32,
    pub world_size: u32,
}

impl Shards {
    /// Fails where the ranks, or the images of a batch, cannot share the shards equally.
    pub fn new(count: u32, batch_size: u32, group: &ProcessGroup) -> Result<Self, Failure> {
        let (rank, world_size) = (group.rank(), group.world_size());
        if count == 0 || !count.is_multiple_of(world_size) {
            return Err(Failure::Job(format!("{world_size} workers cannot share {count} shards equally")));
        }
        if !batch_size.is_multiple_of(count) {
            return Err(Failure::Job(format!("batch_size {batch_size} cannot be cut into {count} equal shards")));
        }
        Ok(Self { count, rank, world_size })
    }

    /// Shards that this rank runs.
    pub fn own(&self) -> Range<u32> {
        let each = self.count / self.world_size;
        self.rank * each..(self.rank + 1) * each
    }

    /// The images of one shard of a batch.
    pub fn part<'a>(&self, batch: &'a [i64], shard: u32) -> &'a [i64] {
        let size = batch.len() / self.count as usize;
        &batch[shard as usize * size..][..size]
    }
}

/// What every rank knows after a step, in the same bits.
#[derive(Debug)]
pub struct Step {
    /// The objective on the whole batch, without penalties: the weighted sum of `losses`.
    pub loss: f64,
    /// Each head's mean loss.
    pub losses: Vec<f64>,
    /// What the penalties add to `loss`.
    pub penalty: f64,
    /// Each head's rows `[M, D]` without graph: as [`Views`] orders them.
    pub outputs: Vec<Tensor>,
    /// Of loss and penalty by all parameters, laid out as they are.
    pub gradient: Tensor,
    /// BatchNorm's running statistics after the step: the mean over shards.
    pub statistics: Tensor,
    /// Some rank has been asked to stop.
    pub stop: bool,
}

/// One pass over a batch, forward and backward, on all ranks together.
///
/// `images(shard)` gives the shard's images as `[v n, ...]`, first views before second views; `stop` is this rank's
/// wish.
pub fn step(
    network: &dyn Network,
    group: &ProcessGroup,
    shards: &Shards,
    images: impl FnMut(u32) -> Tensor,
    objective: &Objective<'_>,
    stop: bool,
) -> Result<Step, Failure> {
    let context = Context { network, group, shards, objective };
    let penalised = objective.penalised();
    let images = shards.own().map(images).inspect(|_| progress::beat());
    let images = images.map(|images| images.set_requires_grad(penalised)).collect();
    let mut pass = Pass::forward(context, images, objective.terms.len())?;
    let parts: Vec<Part> = pass.statistics.iter().map(|statistics| Part::new(network, statistics, stop)).collect();

    let (losses, toward): (Vec<f64>, Vec<Tensor>) = pass.outputs.iter().map(|rows| context.loss(rows)).unzip();
    let penalty = match (penalised, objective.difference) {
        (false, _) => {
            let pull = |(u, term): (&Tensor, &Term)| Pull { value: u * term.weight, rate: None };
            let pulls: Vec<Pull> = toward.iter().zip(&objective.terms).map(pull).collect();
            backward(&mut pass, &context, &pulls, &parts)?;
            0.0
        }
        (true, None) => exact::backward(&mut pass, &context, &toward, &parts)?,
        (true, Some(difference)) => finite::backward(&mut pass, &context, difference, &toward, &parts)?,
    };

    let sum = tree_sum(group, parts.into_iter().map(|part| part.flat).collect(), shards.count)?;
    progress::waited();
    let sum = Sum::unpack(network, &sum, shards.count);
    Ok(Step {
        loss: losses.iter().zip(&objective.terms).map(|(loss, term)| term.weight * loss).sum(),
        losses,
        penalty,
        outputs: pass.outputs,
        gradient: sum.gradient,
        statistics: sum.statistics,
        stop: sum.stop,
    })
}

/// Derivatives by one head's outputs and, where they are known along a direction, by their rates: `[S, rows, D]`.
struct Pull {
    value: Tensor,
    rate: Option<Tensor>,
}

/// Adds to each shard's part what pulls at the outputs are by the parameters.
fn backward(pass: &mut Pass<'_>, context: &Context<'_>, pulls: &[Pull], parts: &[Part]) -> Result<(), Failure> {
    let units = context.objective.units();
    for block in pass.blocks() {
        let graph = pass.last_graph(&block)?;
        for (unit, left) in units.iter().zip((0..units.len()).rev()) {
            let mut scalars = Vec::new();
            for (outputs, i) in graph.iter().zip(block.clone()) {
                for &k in &unit.terms {
                    scalars.push(inner(&outputs[k].value, &context.own(&pulls[k].value, i)));
                    if let (Some(rate), Some(pull)) = (&outputs[k].rate, &pulls[k].rate) {
                        scalars.push(inner(rate, &context.own(pull, i)));
                    }
                }
            }
            let scalar: Tensor = scalars.into_iter().sum();
            let gradients = derivatives(scalar, &pass.parameters(&block, unit.reach), left > 0, false)?;
            add_block(parts, &block, unit.reach, &gradients);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::rows::by_view;
    use super::*;
    use crate::encoder::Model;
    use crate::flat::FlatTensors;
    use crate::objective::nt_xent;
    use tandem_domain::spec;
    use tch::{Device, Kind};

    #[test]
    fn a_rank_runs_a_contiguous_block_and_shards_cut_the_batch() {
        let shards = Shards { count: 4, rank: 1, world_size: 2 };
        assert_eq!(shards.own(), 2..4);
        assert_eq!(shards.part(&[10, 11, 12, 13, 14, 15, 16, 17], 3), [16, 17]);
        assert!(Shards::new(3, 10, &ProcessGroup::alone()).is_err());
    }

    fn tiny() -> Model {
        let head = spec::Head { hidden: 0, output: 8 };
        Model::new(spec::Encoder::ResNetTiny, Some(head), 3, Device::Cpu).expect("resnet-tiny can be built")
    }

    /// Four shards of four images by two views, as `step` asks for them.
    fn views(shard: u32) -> Tensor {
        tch::manual_seed(i64::from(shard));
        Tensor::rand([8, 3, 32, 32], (Kind::Float, Device::Cpu))
    }

    fn largest(x: Tensor) -> f64 {
        x.abs().max().double_value(&[])
    }

    /// Autograd through all shards at once, the textbook way, against the step that only exchanges projections.
    #[test]
    fn the_gradient_is_that_of_the_whole_batch() {
        let model = tiny();
        let shards = Shards { count: 4, rank: 0, world_size: 1 };
        let objective = |z: &Tensor| nt_xent(z, 0.5, false);
        let step = step(&model, &ProcessGroup::alone(), &shards, views, &Objective::new(Views::Two, &objective), false)
            .unwrap();

        let statistics = || FlatTensors::over(model.statistics.layout().clone(), model.statistics.vector().copy());
        let (mut projections, mut means) = (vec![], model.statistics.vector().zeros_like());
        for shard in 0..4 {
            let statistics = statistics();
            projections.push(model.project(&views(shard), &statistics));
            means += statistics.vector() / 4.0;
        }
        let loss = objective(&by_view(&Tensor::stack(&projections, 0), 2));
        let gradients = Tensor::run_backward(&[&loss], model.parameters.views(), false, false);

        assert!((step.loss - loss.double_value(&[])).abs() < 1e-6);
        assert!(largest(step.statistics - means) < 1e-6);
        for (slot, expected) in model.parameters.layout().slots().iter().zip(gradients) {
            let scale = largest(expected.shallow_clone()).max(1e-3);
            assert!(largest(slot.view(&step.gradient) - expected) < 1e-4 * scale, "{}", slot.name);
        }
        assert!(!step.stop);
    }

    #[test]
    fn a_wish_to_stop_reaches_everybody() {
        let shards = Shards { count: 4, rank: 0, world_size: 1 };
        let loss = |z: &Tensor| nt_xent(z, 0.5, false);
        let step =
            step(&tiny(), &ProcessGroup::alone(), &shards, views, &Objective::new(Views::Two, &loss), true).unwrap();
        assert!(step.stop);
    }

    /// The last stage's loss alone, kept from the stages below: they stay where they are; with one stage more, the third
    /// moves too; and without isolation all do.
    #[test]
    fn isolation_keeps_a_loss_from_the_stages_below() {
        use crate::encoder::LayerwiseModel;
        use spec::Isolate;

        let head = spec::Head { hidden: 0, output: 8 };
        let net = LayerwiseModel::new(spec::Encoder::ResNetTiny, head, 4, 3, Device::Cpu).unwrap();
        let loss = |z: &Tensor| nt_xent(z, 0.5, false);
        for (isolate, lowest) in [(Isolate::Detach, 4), (Isolate::Overlap, 3), (Isolate::None, 1)] {
            let term = |k: usize| Term {
                weight: if k == 3 { 1.0 } else { 0.0 },
                penalty: if k == 3 { 0.1 } else { 0.0 },
                reach: net.reach(isolate, k),
            };
            let objective = Objective { terms: (0..4).map(term).collect(), ..Objective::new(Views::Two, &loss) };
            let shards = Shards { count: 1, rank: 0, world_size: 1 };
            let step = step(&net, &ProcessGroup::alone(), &shards, views, &objective, false).unwrap();
            for slot in net.model.parameters.layout().slots() {
                let stage = slot.name.strip_prefix("layer").and_then(|rest| rest[..1].parse::<i32>().ok());
                let moves = match stage {
                    Some(stage) => stage >= lowest,
                    None if slot.name.starts_with("head") => slot.name.starts_with("head."),
                    None => lowest == 1,
                };
                assert_eq!(largest(slot.view(&step.gradient)) > 0.0, moves, "{isolate:?} {}", slot.name);
            }
        }
    }
}

//! A training step whose bits depend on the number of logical shards and on nothing else.
//!
//! A batch is cut into equal parts by position. Each shard has BatchNorm statistics of its own, over both views of its
//! images; a rank runs a contiguous block of shards one after the other. What must be the same everywhere is computed
//! from all shards' projections on every rank alike; what is summed over shards (gradients, statistics, the wish to
//! stop) is summed once, along the fixed tree of `tandem_collective::tree_sum`. So the weights after a step are the same
//! bits on 1, 2 or 4 ranks, and all ranks stop at the same step.

use std::ops::Range;

use tandem_collective::{Group, tree_sum};
use tch::{Kind, Tensor};

use crate::encoder::Model;
use crate::failure::Failure;
use crate::flat::Flat;

/// Which part of each batch is this rank's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    pub count: u32,
    pub rank: u32,
    pub world_size: u32,
}

impl Shards {
    /// Fails where the ranks, or the images of a batch, cannot share the shards equally.
    pub fn new(count: u32, batch_size: u32, group: &Group) -> Result<Self, Failure> {
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

/// Rows that one image becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Views {
    /// A classifier: row i is image i's.
    One,
    /// Contrastive pretraining: the first views of all images, then their second views in the same order.
    Two,
}

impl Views {
    fn count(self) -> i64 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// One summand of an objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Indexes of the parameters that it moves; `None` is all.
    pub reach: Option<Vec<usize>>,
}

/// What a step minimises: a mean loss over rows.
pub struct Objective<'a> {
    pub views: Views,
    /// All rows `[M, D]` as `views` orders them to their mean loss, a scalar.
    pub loss: &'a dyn Fn(&Tensor) -> Tensor,
    pub terms: Vec<Term>,
}

impl<'a> Objective<'a> {
    pub fn new(views: Views, loss: &'a dyn Fn(&Tensor) -> Tensor) -> Self {
        Self { views, loss, terms: vec![Term { reach: None }] }
    }
}

/// What every rank knows after a step, in the same bits.
#[derive(Debug)]
pub struct Step {
    /// The objective on the whole batch.
    pub loss: f64,
    /// The rows `[M, D]` without graph, as [`Views`] orders them.
    pub outputs: Vec<Tensor>,
    /// Of the loss by all parameters, laid out as they are.
    pub gradient: Tensor,
    /// BatchNorm's running statistics after the step: the mean over shards.
    pub statistics: Tensor,
    /// Some rank has been asked to stop.
    pub stop: bool,
}

/// One forward and backward pass over a batch, on all ranks together.
///
/// `images(shard)` gives the shard's images as `[v n, 3, H, W]`, first views before second views; `stop` is this rank's
/// wish.
pub fn step(
    model: &Model,
    group: &Group,
    shards: &Shards,
    mut images: impl FnMut(u32) -> Tensor,
    objective: &Objective<'_>,
    stop: bool,
) -> Result<Step, Failure> {
    let mut graphs: Vec<(Tensor, Flat)> = Vec::new();
    for shard in shards.own() {
        let statistics = Flat::over(model.statistics.layout().clone(), model.statistics.vector().copy());
        let outputs = model.project(&images(shard), &statistics);
        graphs.push((outputs, statistics));
    }

    let views = objective.views.count();
    let own = Tensor::stack(&graphs.iter().map(|(outputs, _)| outputs.detach()).collect::<Vec<_>>(), 0);
    let all = by_view(&group.all_gather(&own)?, views).set_requires_grad(true);
    let loss = (objective.loss)(&all);
    let toward_outputs = by_shard(&Tensor::run_backward(&[&loss], &[&all], false, false)[0], views, shards.count);

    let every = || (0..model.parameters.views().len()).collect();
    let reach: Vec<usize> = objective.terms.iter().find_map(|term| term.reach.clone()).unwrap_or_else(every);
    let moved: Vec<&Tensor> = reach.iter().map(|&i| model.parameters.get(i)).collect();
    let parts = shards.own().zip(graphs).map(|(shard, (outputs, statistics))| {
        // The scalar <z, dL/dz> has the gradient dL/dz at z.
        let scalar = (outputs * toward_outputs.get(i64::from(shard))).sum(Kind::Float);
        let gradients = Tensor::run_backward(&[scalar], &moved, false, false);
        Part::pack(model, &reach, &gradients, &statistics, stop)
    });
    let sum = tree_sum(group, parts.collect(), shards.count)?;
    let part = Part::unpack(model, &sum, shards.count);
    Ok(Step {
        loss: loss.double_value(&[]),
        outputs: vec![all.detach()],
        gradient: part.gradient,
        statistics: part.statistics,
        stop: part.stop,
    })
}

/// What is summed over shards: `[gradient | statistics | stop]`, flat.
struct Part {
    gradient: Tensor,
    statistics: Tensor,
    stop: bool,
}

impl Part {
    fn pack(model: &Model, reach: &[usize], gradients: &[Tensor], statistics: &Flat, stop: bool) -> Tensor {
        let (parameters, normed) = (model.parameters.layout().len(), statistics.layout().len());
        let part = Tensor::zeros([parameters + normed + 1], (Kind::Float, statistics.vector().device()));
        for (&slot, gradient) in reach.iter().zip(gradients) {
            model.parameters.layout().slots()[slot].view(&part).copy_(gradient);
        }
        part.narrow(0, parameters, normed).copy_(statistics.vector());
        let _ = part.narrow(0, parameters + normed, 1).fill_(f64::from(u8::from(stop)));
        part
    }

    fn unpack(model: &Model, sum: &Tensor, shards: u32) -> Self {
        let (parameters, normed) = (model.parameters.layout().len(), model.statistics.layout().len());
        Self {
            gradient: sum.narrow(0, 0, parameters),
            statistics: sum.narrow(0, parameters, normed) / f64::from(shards),
            stop: sum.double_value(&[parameters + normed]) > 0.0,
        }
    }
}

/// `[S, v n, D]`, each shard's first views before its second, to `[v S n, D]`, all first views before all second ones.
fn by_view(shards: &Tensor, views: i64) -> Tensor {
    let (s, rows, d) = (shards.size()[0], shards.size()[1], shards.size()[2]);
    shards.view([s, views, rows / views, d]).transpose(0, 1).reshape([s * rows, d])
}

/// The inverse of `by_view`.
fn by_shard(rows: &Tensor, views: i64, shards: u32) -> Tensor {
    let (s, count, d) = (i64::from(shards), rows.size()[0], rows.size()[1]);
    rows.view([views, s, count / views / s, d]).transpose(0, 1).reshape([s, count / s, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::nt_xent;
    use tandem_domain::spec;
    use tch::Device;

    #[test]
    fn a_rank_runs_a_contiguous_block_and_shards_cut_the_batch() {
        let shards = Shards { count: 4, rank: 1, world_size: 2 };
        assert_eq!(shards.own(), 2..4);
        assert_eq!(shards.part(&[10, 11, 12, 13, 14, 15, 16, 17], 3), [16, 17]);
        assert!(Shards::new(3, 10, &Group::alone()).is_err());
    }

    #[test]
    fn rows_travel_from_shards_to_views_and_back() {
        // Shard s holds rows 10 s + (first views 0, 1; second views 5, 6).
        let shards = Tensor::from_slice(&[0f32, 1., 5., 6., 10., 11., 15., 16.]).view([2, 4, 1]);
        let views = by_view(&shards, 2);
        assert_eq!(Vec::<f32>::try_from(views.view(-1)).unwrap(), [0., 1., 10., 11., 5., 6., 15., 16.]);
        assert!(by_shard(&views, 2, 2).equal(&shards));
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
        let step =
            step(&model, &Group::alone(), &shards, views, &Objective::new(Views::Two, &objective), false).unwrap();

        let statistics = || Flat::over(model.statistics.layout().clone(), model.statistics.vector().copy());
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
        let step = step(&tiny(), &Group::alone(), &shards, views, &Objective::new(Views::Two, &loss), true).unwrap();
        assert!(step.stop);
    }
}

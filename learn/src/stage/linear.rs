//! The linear stage (the paper's stage 2): how well one layer on frozen features tells the classes apart.
//!
//! By L-BFGS: all ranks together compute the features of the labelled subset and of the test set once; then every rank
//! solves the same convex problem, which is cheaper than dividing it.
//!
//! By SGD, the protocol of SimCLR (Chen et al. 2020, B.9): each epoch has new crops and flips of the labelled images, features
//! are not standardised, nothing is held out, and the last weights count. Test images are not cropped.

use std::sync::Arc;
use std::time::Instant;

use tandem_collective::ProcessGroup;
use tandem_domain::spec::{Augment, Linear, LinearSolver};
use tch::Tensor;

use super::classifier::{self, Augmentation, Pretrained, Recipe};
use super::epoch_line::{self, Figure};
use super::{RankContext, labels, predictions};
use crate::artifact::{self, Card};
use crate::data::{Data, balanced_subset};
use crate::encoder::{HeadShape, Model};
use crate::failure::Failure;
use crate::features::{Orientation, features};
use crate::flat::{FlatTensors, Layout, Role};
use crate::linear::{Layer, Lbfgs, Logistic, Minimum, Standardised, accuracy, choose};
use crate::progress;
use crate::report::Outcome;

pub(crate) fn run(rank: &mut RankContext<'_>, spec: &Linear) -> Result<Outcome, Failure> {
    match spec.solver {
        LinearSolver::Lbfgs => lbfgs(rank, spec),
        LinearSolver::Sgd => sgd(rank, spec),
    }
}

/// Trains nothing but the head, for all epochs.
fn sgd(rank: &mut RankContext<'_>, spec: &Linear) -> Result<Outcome, Failure> {
    let (model, card, sha256) = rank.encoder()?;
    let crop_and_flip = Augment { crop_area_min: spec.crop_area_min, jitter: 0.0, gray: 0.0, ..Augment::default() };
    let recipe = Recipe {
        pretrained: Some(Pretrained { model, sha256, images: card.data_checksum }),
        label_fraction: spec.label_fraction,
        images: Augmentation::Views(crop_and_flip),
        head_epochs: f64::INFINITY,
        alias: Some("linear_accuracy"),
        ..Recipe::plain(card.encoder, &spec.optimizer, spec.epochs, spec.batch_size)
    };
    classifier::run(rank, &recipe)
}

/// A stop leaves no checkpoint: this is short enough to be run again.
fn lbfgs(rank: &mut RankContext<'_>, spec: &Linear) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let (model, encoder_card, encoder_sha256) = rank.encoder()?;
    let data = rank.load_data()?;
    rank.note_other_images("encoder", &encoder_card.data_checksum, &data);
    let subset = balanced_subset(&data.train.labels, data.classes.len(), spec.label_fraction, rank.task.spec.seed)?;
    if rank.stop_requested() && rank.group.world_size() == 1 {
        return Ok(Outcome::Stopped);
    }
    rank.phase("features", 0);
    progress::measure();
    let features = Features::compute(&model, &data, &subset, rank.group)?;

    let classes = data.classes.len() as i64;
    let ridge = match spec.ridge {
        Some(ridge) => ridge,
        None => {
            rank.phase("choosing ridge", 0);
            let own: Vec<i64> = subset.iter().map(|&id| data.train.labels[id as usize]).collect();
            let search = Lbfgs { iterations: spec.epochs, ..Lbfgs::default() };
            let Some(choice) = choose(&features.train, &own, classes, search, || !rank.stop_requested()) else {
                return Ok(Outcome::Stopped);
            };
            choice.note().into_iter().for_each(|why| rank.note("ridge", why));
            choice.ridge
        }
    };

    rank.phase("training", 0);
    let standardised = Standardised::new(&features.train);
    let problem = Logistic::new(&standardised, &features.train_labels, classes, ridge);
    let Some(minimum) = solve(rank, spec, &problem, subset.len()) else { return Ok(Outcome::Stopped) };
    if !minimum.value.is_finite() {
        return Err(Failure::Job("the classifier's loss is not finite: the encoder's features are damaged".into()));
    }
    minimum.note().into_iter().for_each(|why| rank.note("not_converged", why));

    rank.phase("evaluating", u64::from(minimum.iterations));
    let layer = problem.layer(&minimum.x, &standardised);
    let predictions = layer.classify(&features.test);
    let test_accuracy = accuracy(&predictions, &features.test_labels);
    let train_accuracy = accuracy(&layer.classify(&features.train), &features.train_labels);
    if rank.is_rank_zero() {
        let head = HeadShape::FullyConnected { layers: 1, classes: classes as u32 };
        let (encoder, step) = (encoder_card.encoder, encoder_card.step);
        let card = Card::new(&rank.task.spec, encoder, Some(head), &data.train.checksum, step);
        let mut card = card.with_classes(&data, subset.clone());
        card.inputs = vec![encoder_sha256];
        let parts = [&model.parameters, &model.statistics, &fully_connected(&layer)];
        rank.emit(artifact::save(&rank.task.artifacts_dir(), "classifier", &parts, &card)?);
    }
    predictions::write(rank, &data.test.labels, &predictions)?;
    rank.result("linear_accuracy", test_accuracy);
    rank.result("test_accuracy", test_accuracy);
    rank.result("train_accuracy", train_accuracy);
    rank.result("loss", minimum.value);
    rank.result("labels", subset.len() as f64);
    rank.result("held_out", 0.0);
    rank.result("ridge", ridge);
    rank.result("iterations", f64::from(minimum.iterations));
    rank.result("seconds", began.elapsed().as_secs_f64());
    Ok(Outcome::Finished)
}

/// Features and labels of the images that count.
struct Features {
    /// Of the labelled images as they are, then of their mirror images: SimCLR's flip, both ways at once.
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
}

impl Features {
    fn compute(model: &Model, data: &Data, subset: &[i64], group: &ProcessGroup) -> Result<Self, Failure> {
        let all: Vec<i64> = (0..data.test.len() as i64).collect();
        let orientations = [Orientation::AsIs, Orientation::Mirrored];
        let train = orientations.map(|orientation| features(model, &data.train, subset, orientation, group));
        Ok(Self {
            train: Tensor::cat(&train.into_iter().collect::<Result<Vec<_>, _>>()?, 0),
            train_labels: labels(&data.train, subset).repeat([2]),
            test: features(model, &data.test, &all, Orientation::AsIs, group)?,
            test_labels: labels(&data.test, &all),
        })
    }
}

/// `None` if this rank was asked to stop. The others finish without it: from here on ranks do not wait for each other.
fn solve(rank: &mut RankContext<'_>, spec: &Linear, problem: &Logistic<'_>, images: usize) -> Option<Minimum> {
    let began = Instant::now();
    let mut stopped = false;
    let search = Lbfgs { iterations: spec.epochs, ..Lbfgs::default() };
    let minimum = search.minimise(problem, problem.start(), |iteration, loss| {
        rank.metric("loss", u64::from(iteration), loss);
        let seconds_each = began.elapsed().as_secs_f64() / f64::from(iteration);
        let steps = (u64::from(iteration), u64::from(spec.epochs));
        let seconds_left = seconds_each * f64::from(spec.epochs - iteration);
        let images_per_second = images as f64 / seconds_each;
        rank.progress(steps, (iteration, spec.epochs), images_per_second, seconds_left);
        if epoch_line::is_told(iteration, spec.epochs) {
            let part = format!("iteration {iteration}, at most {}", spec.epochs);
            rank.log(epoch_line::line(&part, &[("loss", Figure::Number(loss))], images_per_second));
        }
        stopped = rank.stop_requested();
        !stopped
    });
    (!stopped).then_some(minimum)
}

/// The layer's parameters under torchvision's names.
fn fully_connected(layer: &Layer) -> FlatTensors {
    let mut layout = Layout::default();
    layout.add("fc.weight".into(), &layer.weight.size(), Role::Linear);
    layout.add("fc.bias".into(), &layer.bias.size(), Role::Bias { inputs: layer.weight.size()[1] });
    let flat = FlatTensors::zeros(Arc::new(layout), layer.weight.device());
    tch::no_grad(|| {
        flat.get(0).shallow_clone().copy_(&layer.weight);
        flat.get(1).shallow_clone().copy_(&layer.bias);
    });
    flat
}

//! The rounds of an attack: in each, every rank attacks a batch of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use tandem_domain::spec::Attack;
use tch::{Kind, Tensor};

use super::resume::{ATTACKED, AttackedImages, KEPT_IMAGES};
use super::sync::{self, Round};
use crate::attack::best_of::attack;
use crate::attack::gates::{Gates, MAX_IMAGES};
use crate::attack::{Batch, Target, target};
use crate::checkpoint::{self, PruneScope};
use crate::classifier::Classifier;
use crate::data::{Data, SIDE, draw};
use crate::failure::Failure;
use crate::features::{Orientation, pixels};
use crate::files::sha256;
use crate::progress;
use crate::report::Outcome;
use crate::stage::epoch_line::{self, Figure};
use crate::stage::throughput::Throughput;
use crate::stage::{RankContext, labels};

/// Images that the classifier is shown at once to find [`fallback`].
const CHUNK: usize = 250;
/// An interrupted attack loses at most this much and the round under way.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(20);

/// For each label a rightly classified test image of the next class that has one, `[C, 3, H, W]`; `None` if fewer than two
/// classes have one.
fn fallback(classifier: &Classifier, data: &Data) -> Option<Tensor> {
    let classes = data.classes.len();
    let mut right: Vec<Option<i64>> = vec![None; classes];
    let all: Vec<i64> = (0..data.test.len() as i64).collect();
    for chunk in all.chunks(CHUNK) {
        let predictions = classifier.logits(&pixels(&data.test, chunk, Orientation::AsIs)).argmax(1, false);
        for (image, prediction) in chunk.iter().zip(Vec::<i64>::try_from(predictions).unwrap_or_default()) {
            if prediction == data.test.labels[*image as usize] {
                right[prediction as usize].get_or_insert(*image);
            }
        }
        progress::work_done();
        if right.iter().all(Option::is_some) {
            break;
        }
    }
    let next = |label: usize| (1..classes).find_map(|step| right[(label + step) % classes]);
    let chosen: Option<Vec<i64>> = (0..classes).map(next).collect();
    Some(pixels(&data.test, &chosen?, Orientation::AsIs))
}

/// The state of an attack between two rounds.
pub(super) struct AttackRun<'a> {
    pub(super) spec: &'a Attack,
    pub(super) classifier: &'a Classifier,
    pub(super) data: &'a Data,
    /// Test images to attack, in this order.
    pub(super) chosen: Vec<i64>,
    pub(super) fallback: Option<Tensor>,
    pub(super) key: String,
    pub(super) scope: PruneScope,
    pub(super) attacked: AttackedImages,
    pub(super) throughput: Throughput,
    pub(super) saved_at: Instant,
}

impl<'a> AttackRun<'a> {
    /// Rank 0 loads the newest good checkpoint; the others need to know only how many images it holds.
    pub(super) fn new(
        rank: &mut RankContext<'_>,
        spec: &'a Attack,
        classifier: &'a Classifier,
        data: &'a Data,
        chosen: Vec<i64>,
        classifier_sha256: &str,
    ) -> Result<Self, Failure> {
        let json = rank.spec_json()?;
        let key = sha256(&[&json, classifier_sha256.as_bytes(), data.test.checksum.as_bytes()].concat());
        let loaded = rank.newest_checkpoint(&ATTACKED, |candidate| AttackedImages::load(candidate, &key));
        let attacked = loaded.unwrap_or_default();
        let scope = PruneScope::new(rank.task.fence, &rank.task.checkpoints, attacked.len() as u64);
        let now = Instant::now();
        let (fallback, throughput) =
            (tch::no_grad(|| fallback(classifier, data)), Throughput::new(now, attacked.seconds));
        Ok(Self { spec, classifier, data, chosen, fallback, key, scope, attacked, throughput, saved_at: now })
    }

    pub(super) fn run_rounds(&mut self, rank: &mut RankContext<'_>) -> Result<Outcome, Failure> {
        let batch_size = self.spec.batch_size as usize;
        let done = Tensor::from_slice(&[self.attacked.len() as i64]).to_device(rank.device);
        rank.group.broadcast(&done, 0)?;
        let mut first = done.int64_value(&[0]) as usize;
        while first < self.chosen.len() {
            let own = first + rank.group.rank() as usize * batch_size;
            let samples = self.chosen.iter().skip(own).take(batch_size).copied().collect::<Vec<_>>();
            let round = sync::round(rank, self.classifier, |target| self.batch(rank, target, &samples))?;
            let Round::Done { own, stop } = round else {
                self.checkpoint(rank)?;
                return Ok(Outcome::Stopped);
            };
            let next = self.chosen.len().min(first + rank.group.world_size() as usize * batch_size);
            self.gather(rank, own, first, next)?;
            self.progress(rank, next, next - first);
            first = next;
            if stop && first < self.chosen.len() {
                self.checkpoint(rank)?;
                return Ok(Outcome::Stopped);
            }
            if self.saved_at.elapsed() >= CHECKPOINT_INTERVAL {
                self.checkpoint(rank)?;
            }
        }
        Ok(Outcome::Finished)
    }

    /// Attacks these images. Returns f64 `[batch_size, 4]` for [`AttackedImages::append`] and the perturbed images, both padded
    /// with zeros.
    fn batch(&self, rank: &RankContext<'_>, target: &dyn Target, samples: &[i64]) -> (Tensor, Tensor) {
        let size = i64::from(self.spec.batch_size);
        let side = SIDE as i64;
        if samples.is_empty() {
            let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, rank.device));
            return (zeros(&[size, 4], Kind::Double), zeros(&[size, 3, side, side], Kind::Float));
        }
        // A contiguous layout, which everything computed from them then has.
        let images = pixels(&self.data.test, samples, Orientation::AsIs).contiguous();
        let labels = labels(&self.data.test, samples);
        let batch = Batch { images: &images, labels: &labels, ids: samples };
        let result = attack(target, &batch, self.spec, rank.task.spec.seed, self.fallback.as_ref());
        let predictions = target::logits(target, &images).argmax(1, false);
        let columns = [&predictions, &result.found.distance, &result.white_box, &result.finders];
        let rows = Tensor::stack(&columns.map(|column| column.to_kind(Kind::Double)), 1);
        let missing = size - samples.len() as i64;
        let pixels = result.found.images.contiguous().constant_pad_nd([0, 0, 0, 0, 0, 0, 0, missing]);
        (rows.constant_pad_nd([0, 0, 0, missing]), pixels)
    }

    /// Rank 0 appends what all ranks found, which is about the chosen images `first..next`.
    fn gather(
        &mut self,
        rank: &RankContext<'_>,
        own: (Tensor, Tensor),
        first: usize,
        next: usize,
    ) -> Result<(), Failure> {
        let (rows, images) = own;
        let rows = rank.group.all_gather(&rows)?;
        let images = if first < KEPT_IMAGES { Some(rank.group.all_gather(&images)?) } else { None };
        if rank.is_rank_zero() {
            let new = (next - first) as i64;
            let images = images.map(|images| images.narrow(0, 0, new));
            self.attacked.append(&rows.narrow(0, 0, new), images.as_ref());
        }
        Ok(())
    }

    fn progress(&mut self, rank: &mut RankContext<'_>, done: usize, new: usize) {
        let (now, left) = (Instant::now(), self.chosen.len() - done);
        let rate = self.throughput.advance(now, new as u64, true).unwrap_or_else(|| self.throughput.mean(now));
        // With clean errors. Only rank 0 holds distances, and only its metrics are reported.
        let broken = self.attacked.distances.iter().filter(|distance| distance.is_finite()).count();
        let broken = broken as f64 / done as f64;
        rank.metric("broken", done as u64, broken);
        let all = self.chosen.len();
        // A line for each tenth of the way.
        if 10 * done / all > 10 * (done - new) / all {
            let part = format!("{done} of {all} images");
            rank.log(epoch_line::line(&part, &[("broken", Figure::Share(broken))], rate));
        }
        let seconds_left = if rate > 0.0 { left as f64 / rate } else { f64::NAN };
        rank.progress((done as u64, self.chosen.len() as u64), (0, 1), rate, seconds_left);
    }

    fn checkpoint(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        self.saved_at = Instant::now();
        self.attacked.seconds = self.throughput.seconds(self.saved_at);
        if rank.is_rank_zero() && self.attacked.len() > 0 {
            let (scope, step) = (self.scope.with_committed(rank.committed()), self.attacked.len() as u64);
            let write = |path: &Path| self.attacked.write(path, &self.key);
            let saved = checkpoint::save(&ATTACKED, &rank.task.job_dir, &scope, step, write)?;
            progress::wait_done();
            rank.checkpoint(step, saved);
        }
        Ok(())
    }

    /// Checks a few images of all classes for masked gradients.
    pub(super) fn measure_gates(&self, seed: u64) -> Option<Gates> {
        let classes: Vec<i64> = self.chosen.iter().map(|&id| self.data.test.labels[id as usize]).collect();
        // Some of them are misclassified.
        let drawn = draw(&classes, 4 * MAX_IMAGES as usize, self.spec.draw_seed.unwrap_or(seed));
        let samples: Vec<i64> = drawn.into_iter().map(|place| self.chosen[place]).collect();
        let images = pixels(&self.data.test, &samples, Orientation::AsIs);
        let labels = labels(&self.data.test, &samples);
        let batch = Batch { images: &images, labels: &labels, ids: &samples };
        let grid = self.spec.grid();
        let middle = grid[(grid.len() - 1) / 4];
        Gates::measure(self.classifier, &batch, self.spec, middle, seed, self.fallback.as_ref())
    }
}

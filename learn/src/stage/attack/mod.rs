//! The attack stage (the paper's section 5.3): how far test images must be moved until a classifier errs.
//!
//! Batches of fixed boundaries are dealt to ranks in turn, so that the images attacked so far are always the first ones
//! and results do not depend on the number of ranks. `pulse` keeps ranks in touch, `resume` holds what is known, `export` hands
//! it on.

mod export;
mod pulse;
mod resume;

use std::path::Path;
use std::time::{Duration, Instant};

use tandem_domain::spec::Attack;
use tch::{Kind, Tensor};

use self::pulse::Round;
use self::resume::{ATTACKED, Attacked, SHOWN};
use super::pace::Pace;
use super::{Rank, labels};
use crate::artifact;
use crate::attack::best_of::{able, attack};
use crate::attack::gates::{Gates, HANDFUL};
use crate::attack::{Batch, Target, target};
use crate::checkpoint::{self, PruneScope};
use crate::classifier::Classifier;
use crate::data::{Data, SIDE};
use crate::failure::Failure;
use crate::features::{Side, pixels};
use crate::files::sha256;
use crate::progress;
use crate::report::{Event, Outcome};

/// Images looked at together for [`safety`].
const BLOCK: usize = 250;
/// An interrupted attack loses at most this and the batches under way.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(20);

/// Attacks the first test images, from where an earlier attempt stopped.
pub(crate) fn run(rank: &mut Rank<'_>, spec: &Attack) -> Result<Outcome, Failure> {
    refuse_nonsense(spec)?;
    let (classifier, classifier_sha256) = classifier(rank)?;
    let data = rank.load_data()?;
    let classes = data.classes.len() as i64;
    if classifier.classes() != classes {
        return Err(Failure::Job(format!(
            "the classifier tells {} classes apart, {} has {classes}: attack it on the data set it was trained on",
            classifier.classes(),
            rank.task.spec.dataset
        )));
    }
    let images = match spec.images as usize {
        0 => data.test.len(),
        wanted => wanted.min(data.test.len()),
    };
    let mut assault = Assault::begin(rank, spec, &classifier, &data, images, &classifier_sha256)?;
    rank.phase("attacking", assault.attacked.len() as u64);
    progress::measure();
    let outcome = assault.until_the_end(rank)?;
    if outcome == Outcome::Finished && rank.leads() {
        rank.phase("exporting", images as u64);
        assault.export(rank)?;
    }
    Ok(outcome)
}

/// The coordinator refuses these at submit; a rank does not trust that.
fn refuse_nonsense(spec: &Attack) -> Result<(), Failure> {
    let grid = spec.grid();
    let grows = grid.is_sorted_by(|a, b| a < b);
    let wrong = if !grows || grid.iter().any(|radius| !(radius.is_finite() && *radius > 0.0)) {
        Some(format!("radii must be above 0, finite and growing, and are {grid:?}"))
    } else if spec.batch_size == 0 || spec.restarts == 0 || spec.steps == Some(0) {
        Some("batch_size, restarts and steps must be at least 1".to_owned())
    } else if !able(spec.attack, spec.norm) {
        Some(format!("attack {:?} cannot search in {:?}: use l2 or linf, or plb", spec.attack, spec.norm))
    } else {
        None
    };
    wrong.map_or(Ok(()), |wrong| Err(Failure::Job(wrong)))
}

fn classifier(rank: &Rank<'_>) -> Result<(Classifier, String), Failure> {
    let input = rank.task.inputs.iter().find(|input| input.kind == "classifier").ok_or_else(|| {
        let kinds: Vec<&str> = rank.task.inputs.iter().map(|input| input.kind.as_str()).collect();
        Failure::Job(format!(
            "an attack needs a classifier and got {}: name a linear, supervised or finetune job in `from`",
            if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
        ))
    })?;
    let (classifier, _) = artifact::load_classifier(input, rank.device)?;
    Ok((classifier, input.sha256.clone()))
}

/// For each label a rightly classified test image of the next class that has one, `[C, 3, H, W]`; `None` if no class but
/// one at most is ever classified rightly.
fn safety(classifier: &Classifier, data: &Data) -> Option<Tensor> {
    let classes = data.classes.len();
    let mut right: Vec<Option<i64>> = vec![None; classes];
    let all: Vec<i64> = (0..data.test.len() as i64).collect();
    for block in all.chunks(BLOCK) {
        let predictions = classifier.logits(&pixels(&data.test, block, Side::AsIs)).argmax(1, false);
        for (image, prediction) in block.iter().zip(Vec::<i64>::try_from(predictions).unwrap_or_default()) {
            if prediction == data.test.labels[*image as usize] {
                right[prediction as usize].get_or_insert(*image);
            }
        }
        progress::beat();
        if right.iter().all(Option::is_some) {
            break;
        }
    }
    let next = |label: usize| (1..classes).find_map(|step| right[(label + step) % classes]);
    let chosen: Option<Vec<i64>> = (0..classes).map(next).collect();
    Some(pixels(&data.test, &chosen?, Side::AsIs))
}

/// An attack between two rounds.
struct Assault<'a> {
    spec: &'a Attack,
    classifier: &'a Classifier,
    data: &'a Data,
    /// Test images to attack.
    images: usize,
    safety: Option<Tensor>,
    key: String,
    scope: PruneScope,
    attacked: Attacked,
    seconds_before: f64,
    pace: Pace,
    saved_at: Instant,
}

impl<'a> Assault<'a> {
    /// Rank 0 loads the newest good checkpoint. The others need to know only how many images it holds.
    fn begin(
        rank: &mut Rank<'_>,
        spec: &'a Attack,
        classifier: &'a Classifier,
        data: &'a Data,
        images: usize,
        classifier_sha256: &str,
    ) -> Result<Self, Failure> {
        let json = serde_json::to_vec(&rank.task.spec)
            .map_err(|error| Failure::Job(format!("cannot encode the spec: {error}")))?;
        let key = sha256(&[&json, classifier_sha256.as_bytes(), data.test.checksum.as_bytes()].concat());
        let loaded = rank.newest_checkpoint(&ATTACKED, |candidate| Attacked::load(candidate, &key));
        let attacked = loaded.unwrap_or_default();
        let scope = PruneScope::new(rank.task.fence, &rank.task.checkpoints, attacked.len() as u64);
        let now = Instant::now();
        let seconds_before = attacked.seconds;
        let (safety, pace) = (tch::no_grad(|| safety(classifier, data)), Pace::new(now));
        Ok(Self { spec, classifier, data, images, safety, key, scope, attacked, seconds_before, pace, saved_at: now })
    }

    fn until_the_end(&mut self, rank: &mut Rank<'_>) -> Result<Outcome, Failure> {
        let batch_size = self.spec.batch_size as usize;
        let done = Tensor::from_slice(&[self.attacked.len() as i64]).to_device(rank.device);
        rank.group.broadcast(&done, 0)?;
        let mut first = done.int64_value(&[0]) as usize;
        while first < self.images {
            let own = first + rank.group.rank() as usize * batch_size;
            let samples: Vec<i64> = (own..self.images.min(own + batch_size)).map(|id| id as i64).collect();
            let round = pulse::round(rank, self.classifier, |target| self.batch(rank, target, &samples))?;
            let Round::Done { own, stop } = round else {
                self.checkpoint(rank)?;
                return Ok(Outcome::Stopped);
            };
            let next = self.images.min(first + rank.group.world_size() as usize * batch_size);
            self.gather(rank, own, first, next)?;
            self.progress(rank, next, next - first);
            first = next;
            if stop && first < self.images {
                self.checkpoint(rank)?;
                return Ok(Outcome::Stopped);
            }
            if self.saved_at.elapsed() >= CHECKPOINT_EVERY {
                self.checkpoint(rank)?;
            }
        }
        Ok(Outcome::Finished)
    }

    /// f64 `[batch_size, 4]` as [`Attacked::append`] takes them, and perturbed images; padded with zeros.
    fn batch(&self, rank: &Rank<'_>, target: &dyn Target, samples: &[i64]) -> (Tensor, Tensor) {
        let size = i64::from(self.spec.batch_size);
        let side = SIDE as i64;
        if samples.is_empty() {
            let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, rank.device));
            return (zeros(&[size, 4], Kind::Double), zeros(&[size, 3, side, side], Kind::Float));
        }
        // One layout for everything that attacks add to them.
        let images = pixels(&self.data.test, samples, Side::AsIs).contiguous();
        let labels = labels(&self.data.test, samples);
        let batch = Batch { images: &images, labels: &labels, ids: samples };
        let verdicts = attack(target, &batch, self.spec, rank.task.spec.seed, self.safety.as_ref());
        let predictions = target::logits(target, &images).argmax(1, false);
        let columns = [&predictions, &verdicts.found.distance, &verdicts.white_box, &verdicts.by];
        let rows = Tensor::stack(&columns.map(|column| column.to_kind(Kind::Double)), 1);
        let missing = size - samples.len() as i64;
        let pixels = verdicts.found.images.contiguous().constant_pad_nd([0, 0, 0, 0, 0, 0, 0, missing]);
        (rows.constant_pad_nd([0, 0, 0, missing]), pixels)
    }

    /// Rank 0 takes in what all found, the test images `first..next`.
    fn gather(&mut self, rank: &Rank<'_>, own: (Tensor, Tensor), first: usize, next: usize) -> Result<(), Failure> {
        let (rows, images) = own;
        let rows = rank.group.all_gather(&rows)?;
        let images = if first < SHOWN { Some(rank.group.all_gather(&images)?) } else { None };
        if rank.leads() {
            let new = (next - first) as i64;
            let images = images.map(|images| images.narrow(0, 0, new));
            self.attacked.append(&rows.narrow(0, 0, new), images.as_ref());
        }
        Ok(())
    }

    fn progress(&mut self, rank: &mut Rank<'_>, done: usize, new: usize) {
        let (now, left) = (Instant::now(), self.images - done);
        let rate = self.pace.advance(now, new as u64, true).unwrap_or_else(|| self.pace.mean(now));
        // Clean errors among them. Only rank 0 holds distances, and only rank 0 is heard.
        let broken = self.attacked.distances.iter().filter(|distance| distance.is_finite()).count();
        rank.metric("broken", done as u64, broken as f64 / done as f64);
        rank.tell(Event::Progress {
            step: done as u64,
            steps: self.images as u64,
            epoch: 0,
            epochs: 1,
            images_per_second: rate,
            seconds_left: if rate > 0.0 { left as f64 / rate } else { f64::NAN },
        });
    }

    fn checkpoint(&mut self, rank: &mut Rank<'_>) -> Result<(), Failure> {
        self.saved_at = Instant::now();
        self.attacked.seconds = self.seconds_before + self.pace.seconds(self.saved_at);
        if rank.leads() && self.attacked.len() > 0 {
            let (scope, step) = (self.scope.with_committed(rank.committed()), self.attacked.len() as u64);
            let write = |path: &Path| self.attacked.write(path, &self.key);
            let saved = checkpoint::save(&ATTACKED, &rank.task.job_dir, &scope, step, write)?;
            progress::waited();
            rank.checkpoint(step, saved);
        }
        Ok(())
    }

    /// Looks for masked gradients on the first images.
    fn gates(&self, seed: u64) -> Option<Gates> {
        // Some of them are misclassified.
        let samples: Vec<i64> = (0..self.images.min(4 * HANDFUL as usize)).map(|id| id as i64).collect();
        let images = pixels(&self.data.test, &samples, Side::AsIs);
        let labels = labels(&self.data.test, &samples);
        let batch = Batch { images: &images, labels: &labels, ids: &samples };
        let grid = self.spec.grid();
        let middle = grid[(grid.len() - 1) / 4];
        Gates::measure(self.classifier, &batch, self.spec.norm, middle, seed)
    }
}

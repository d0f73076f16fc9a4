//! The choice of a ridge: the one whose classifiers are right most often on held-out labelled images and, of equally good
//! ones, that of the least loss there.
//!
//! Few labels need a stronger ridge than many. It is chosen by cross-validation inside the labelled subset, without the
//! test set.

use tch::{Kind, Tensor};

use super::lbfgs::Lbfgs;
use super::logistic::{Logistic, Standardised};

/// Strongest first, since each solution is a good start for the next. The weakest is as good as none.
const RIDGES: [f64; 11] = [10.0, 3.0, 1.0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5];
/// Enough to compare ridges by; only the chosen one is solved for to the end.
const ITERATIONS: u32 = 100;
/// Folds that the subset is cut into; each is held out once.
const FOLDS: usize = 5;
/// From this many labelled images on, one fold is held out, not all in turn.
const ONE_FOLD_FROM: usize = 10_000;

/// A chosen ridge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub ridge: f64,
    /// Share of the held-out rows that its classifiers get right.
    pub accuracy: f64,
}

impl Choice {
    /// For people, if no ridge beyond it was tried on one side: a better one may lie there.
    pub fn note(&self) -> Option<String> {
        let (strongest, weakest) = (RIDGES[0], RIDGES[RIDGES.len() - 1]);
        let end = match self.ridge {
            ridge if ridge == strongest => "the strongest",
            ridge if ridge == weakest => "the weakest",
            _ => return None,
        };
        Some(format!(
            "the ridge {} is {end} of those that were tried ({strongest} to {weakest}), with {:.2} % of the held-out images \
             right; one beyond it may be better: write `ridge`",
            self.ridge,
            100.0 * self.accuracy
        ))
    }
}

/// The ridge for features `[N, F]` with `labels`. Image `i` may have several rows: all that are `i` modulo
/// `labels.len()`.
///
/// `None` once `go_on` returns false. The only image of a class is never held out.
pub fn choose(
    features: &Tensor,
    labels: &[i64],
    classes: i64,
    search: Lbfgs,
    mut go_on: impl FnMut() -> bool,
) -> Option<Choice> {
    let search = Lbfgs { iterations: search.iterations.min(ITERATIONS), ..search };
    let folds = folds(labels, classes as usize);
    let tried = if labels.len() < ONE_FOLD_FROM { FOLDS } else { 1 };
    let rows_each = features.size()[0] as usize / labels.len();
    let device = features.device();
    let pick = |wanted: &dyn Fn(usize) -> bool| {
        let images: Vec<usize> = (0..labels.len()).filter(|&image| wanted(folds[image])).collect();
        let rows: Vec<i64> =
            (0..rows_each).flat_map(|i| images.iter().map(move |image| (i * labels.len() + image) as i64)).collect();
        let row_labels: Vec<i64> = rows.iter().map(|&row| labels[row as usize % labels.len()]).collect();
        (
            features.index_select(0, &Tensor::from_slice(&rows).to_device(device)),
            Tensor::from_slice(&row_labels).to_device(device),
        )
    };
    let mut scores = RIDGES.map(|ridge| Score { ridge, right: 0, loss: 0.0 });
    let mut rows = 0;
    for fold in 0..tried {
        let (held, held_labels) = pick(&|part| part == fold + 1);
        if held.size()[0] == 0 {
            continue;
        }
        rows += held.size()[0];
        let (kept, kept_labels) = pick(&|part| part != fold + 1);
        let standardised = Standardised::new(&kept);
        let mut start: Option<Tensor> = None;
        for score in &mut scores {
            let problem = Logistic::new(&standardised, &kept_labels, classes, score.ridge);
            let mut stopped = false;
            let minimum = search.minimise(&problem, start.take().unwrap_or_else(|| problem.start()), |_, _| {
                stopped = !go_on();
                !stopped
            });
            if stopped {
                return None;
            }
            let layer = problem.layer(&minimum.x, &standardised);
            score.right += layer.classify(&held).eq_tensor(&held_labels).sum(Kind::Int64).int64_value(&[]);
            score.loss += layer.cross_entropy(&held, &held_labels) * held.size()[0] as f64;
            start = Some(minimum.x);
        }
    }
    let best = best(&scores)?;
    Some(Choice { ridge: best.ridge, accuracy: best.right as f64 / rows.max(1) as f64 })
}

/// Over all held-out rows.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score {
    ridge: f64,
    right: i64,
    loss: f64,
}

/// The one with most rows right; of these the one of the least loss.
fn best(scores: &[Score]) -> Option<Score> {
    scores.iter().copied().min_by(|a, b| b.right.cmp(&a.right).then(a.loss.total_cmp(&b.loss)))
}

/// The fold of each image, 1 to `FOLDS`, dealt out class by class; 0 for the only image of its class.
fn folds(labels: &[i64], classes: usize) -> Vec<usize> {
    let mut members = vec![0; classes];
    labels.iter().for_each(|&label| members[label as usize] += 1);
    let mut dealt = vec![0; classes];
    let deal = |&label: &i64| {
        let class = label as usize;
        dealt[class] += 1;
        if members[class] == 1 { 0 } else { (dealt[class] - 1) % FOLDS + 1 }
    };
    labels.iter().map(deal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Two classes apart in one dimension of thirty, the rest noise.
    fn noisy(images: i64) -> (Tensor, Vec<i64>) {
        tch::manual_seed(11);
        let labels: Vec<i64> = (0..images).map(|image| image % 2).collect();
        let signal = Tensor::from_slice(&labels).to_kind(Kind::Float).view([images, 1]) - 0.5;
        let noise = Tensor::randn([images, 30], (Kind::Float, Device::Cpu));
        (Tensor::cat(&[signal * 2.0 + noise.narrow(1, 0, 1), noise.narrow(1, 1, 29)], 1), labels)
    }

    #[test]
    fn few_labels_want_a_strong_ridge() {
        let (features, labels) = noisy(60);
        let choice = choose(&features, &labels, 2, Lbfgs::default(), || true).unwrap();
        assert!(choice.ridge >= 0.1 && choice.accuracy > 0.6, "{choice:?}");
    }

    /// By hand: the likelihood alone would take another one.
    #[test]
    fn accuracy_comes_first_and_likelihood_breaks_a_tie() {
        let score = |ridge, right, loss| Score { ridge, right, loss };
        let scores = [score(3.0, 70, 0.9), score(1.0, 81, 1.4), score(0.3, 81, 1.2), score(0.1, 80, 0.8)];
        assert_eq!(best(&scores), Some(scores[2]));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn an_end_of_the_grid_is_said() {
        let note = |ridge| Choice { ridge, accuracy: 0.5 }.note();
        assert!(
            note(10.0).unwrap().contains("10 is the strongest")
                && note(1e-5).unwrap().contains("0.00001 is the weakest")
        );
        assert_eq!(note(1.0), None);
    }

    #[test]
    fn every_image_is_held_out_once_and_its_rows_with_it() {
        let labels = [0, 1, 1, 0, 1, 1, 1, 1, 2, 0];
        assert_eq!(folds(&labels, 3), [1, 1, 2, 2, 3, 4, 5, 1, 0, 3]);
    }

    #[test]
    fn a_stop_ends_the_search() {
        let (features, labels) = noisy(60);
        assert_eq!(choose(&features, &labels, 2, Lbfgs::default(), || false), None);
    }
}

//! The choice of a ridge: the one whose classifiers have the least loss on held-out labelled images.
//!
//! Few labels need a stronger ridge than many. It is chosen by cross-validation inside the labelled subset, without the
//! test set.

use tch::Tensor;

use super::lbfgs::Lbfgs;
use super::logistic::{Logistic, Standardised};

/// Strongest first, since each solution is a good start for the next.
const RIDGES: [f64; 6] = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4];
/// Folds that the subset is cut into; each is held out once.
const FOLDS: usize = 5;
/// From this many labelled images on, one fold is held out, not all in turn.
const ONE_FOLD_FROM: usize = 10_000;

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
) -> Option<f64> {
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
    let mut losses = [0.0; RIDGES.len()];
    for fold in 0..tried {
        let (held, held_labels) = pick(&|part| part == fold + 1);
        if held.size()[0] == 0 {
            continue;
        }
        let (kept, kept_labels) = pick(&|part| part != fold + 1);
        let standardised = Standardised::new(&kept);
        let mut start: Option<Tensor> = None;
        for (ridge, loss) in RIDGES.into_iter().zip(&mut losses) {
            let problem = Logistic::new(&standardised, &kept_labels, classes, ridge);
            let mut stopped = false;
            let minimum = search.minimise(&problem, start.take().unwrap_or_else(|| problem.start()), |_, _| {
                stopped = !go_on();
                !stopped
            });
            if stopped {
                return None;
            }
            *loss +=
                problem.layer(&minimum.x, &standardised).cross_entropy(&held, &held_labels) * held.size()[0] as f64;
            start = Some(minimum.x);
        }
    }
    RIDGES.into_iter().zip(losses).min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(ridge, _)| ridge)
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
    use tch::{Device, Kind};

    /// Two classes apart in one dimension of thirty, the rest noise.
    fn noisy(images: i64) -> (Tensor, Vec<i64>) {
        tch::manual_seed(11);
        let labels: Vec<i64> = (0..images).map(|image| image % 2).collect();
        let signal = Tensor::from_slice(&labels).to_kind(Kind::Float).view([images, 1]) - 0.5;
        let noise = Tensor::randn([images, 30], (Kind::Float, Device::Cpu));
        (Tensor::cat(&[signal * 2.0 + noise.narrow(1, 0, 1), noise.narrow(1, 1, 29)], 1), labels)
    }

    #[test]
    fn few_labels_want_a_stronger_ridge_than_many() {
        let ridge = |images| {
            let (features, labels) = noisy(images);
            choose(&features, &labels, 2, Lbfgs::default(), || true).unwrap()
        };
        assert!(ridge(60) > ridge(4000), "{} and {}", ridge(60), ridge(4000));
        assert_eq!(ridge(60), 1e-1);
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

//! Classifiers to be attacked in tests: a linear one, whose distances are known, and a convolutional one.

use tch::{Device, Kind, Tensor};

use super::{Batch, Target};
use crate::random::{Purpose, Stream};

/// Uniform draws that depend on the seed alone.
pub(super) fn random(seed: u64, shape: &[i64], low: f64, high: f64) -> Tensor {
    let mut stream = Stream::new(seed, Purpose::Weights, 0, 0, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.between(low, high) as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

/// Logits W·x of images `[3, 8, 8]`.
pub(super) struct Linear(pub(super) Tensor);

impl Linear {
    pub(super) fn new(classes: i64) -> Self {
        Self(random(3, &[classes, 192], -1.0, 1.0))
    }

    /// Distance to the nearest class, in the norm with the dual `dual` (an exponent): min_c f_c / ‖w_y − w_c‖_dual. True
    /// as long as [0, 1] is not met.
    pub(super) fn distance(&self, images: &Tensor, labels: &Tensor, dual: f64) -> Vec<f32> {
        let own = self.0.index_select(0, labels).unsqueeze(1);
        let gap = (&own * images.flatten(1, -1).unsqueeze(1)).sum_dim_intlist(2i64, false, Kind::Float)
            - images.flatten(1, -1).matmul(&self.0.tr());
        let slope = (own - self.0.unsqueeze(0)).norm_scalaropt_dim(dual, [2i64].as_slice(), false);
        let each = (gap / slope.clamp_min(1e-20)).scatter_value(1, &labels.unsqueeze(1), f64::INFINITY);
        values(&each.amin([1i64].as_slice(), false))
    }

    /// The smallest distance inside [0, 1] in l1, or in l0 if `whole`. Elements move to their better end, the most useful
    /// first; in l1 the last one moves in part.
    pub(super) fn least(&self, sample: &Sample, whole: bool) -> Vec<f32> {
        let of_class = |image: &[f32], label: i64, class: i64| {
            let w = values(&(self.0.get(class) - self.0.get(label)));
            let mut left = -w.iter().zip(image).map(|(w, x)| w * x).sum::<f32>();
            let mut ends: Vec<(f32, f32)> =
                w.iter().zip(image).map(|(w, x)| (w.abs(), if *w > 0.0 { 1.0 - x } else { *x })).collect();
            let use_of = |&(rate, room): &(f32, f32)| if whole { rate * room } else { rate };
            ends.sort_by(|a, b| use_of(b).total_cmp(&use_of(a)));
            let mut spent = 0.0;
            for (rate, room) in ends {
                let part = (left / (rate * room)).clamp(0.0, 1.0);
                spent += if whole { part.ceil() } else { part * room };
                left -= part * rate * room;
            }
            spent
        };
        let of_row = |row: i64| {
            let image = values(&sample.images.get(row).flatten(0, -1));
            let label = sample.labels.int64_value(&[row]);
            let others = (0..self.classes()).filter(|&class| class != label);
            others.map(|class| of_class(&image, label, class)).fold(f32::INFINITY, f32::min)
        };
        (0..sample.images.size()[0]).map(of_row).collect()
    }
}

impl Target for Linear {
    fn logits(&self, images: &Tensor) -> Tensor {
        images.flatten(1, -1).matmul(&self.0.tr())
    }

    fn classes(&self) -> i64 {
        self.0.size()[0]
    }
}

/// Two convolutions, each with a smooth activation, and a linear layer; four classes.
pub(super) struct Convolutional {
    first: Tensor,
    second: Tensor,
    last: Tensor,
}

impl Convolutional {
    pub(super) fn new() -> Self {
        Self {
            first: random(5, &[12, 3, 3, 3], -0.7, 0.7),
            second: random(6, &[16, 12, 3, 3], -0.4, 0.4),
            last: random(7, &[4, 256], -0.3, 0.3),
        }
    }
}

impl Target for Convolutional {
    fn logits(&self, images: &Tensor) -> Tensor {
        let layer = |x: &Tensor, w: &Tensor| x.conv2d(w, None::<Tensor>, [2, 2], [1, 1], [1, 1], 1).silu();
        layer(&layer(&(images * 4.0 - 2.0), &self.first), &self.second).flatten(1, -1).matmul(&self.last.tr()) * 3.0
    }

    fn classes(&self) -> i64 {
        4
    }
}

/// Grey images `[size, 3, side, side]`, away from 0 and 1, labelled as `net` sees them.
pub(super) struct Sample {
    pub(super) images: Tensor,
    pub(super) labels: Tensor,
    pub(super) ids: Vec<i64>,
}

impl Sample {
    pub(super) fn of(net: &dyn Target, size: i64, side: i64) -> Self {
        let images = random(8, &[size, 3, side, side], 0.3, 0.7);
        let labels = net.logits(&images).argmax(1, false);
        Self { images, labels, ids: (0..size).map(|i| 40 + 3 * i).collect() }
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { images: &self.images, labels: &self.labels, ids: &self.ids }
    }

    /// The rows in another order, or fewer of them.
    pub(super) fn pick(&self, rows: &[i64]) -> Self {
        let index = Tensor::from_slice(rows);
        Self {
            images: self.images.index_select(0, &index),
            labels: self.labels.index_select(0, &index),
            ids: rows.iter().map(|&row| self.ids[row as usize]).collect(),
        }
    }
}

pub(super) fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_kind(Kind::Float).to_device(Device::Cpu)).unwrap()
}

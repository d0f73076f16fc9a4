//! Square (Andriushchenko et al. 2020): random search in a ball by squares of pixels, without gradients.
//!
//! If it breaks more images than the attacks that use gradients, the gradients are masked.

mod pattern;

use tandem_domain::spec::Norm;
use tch::{Device, Kind, Tensor};

use super::active::ActiveImages;
use super::fixed_radius::{FixedRadius, RunResult, Setup};
use super::noise::{self, NoiseKey};
use super::{Batch, Target, norm, target};
use crate::random::Stream;
use pattern::{Window, bump};

/// The published constants are the default.
#[derive(Clone, Copy, Debug)]
pub struct Square {
    /// Evaluations of the classifier for each image and restart.
    pub queries: u32,
    pub restarts: u32,
    /// Share of the image that the first squares cover.
    pub p_init: f64,
    pub seed: u64,
}

impl Default for Square {
    fn default() -> Self {
        Self { queries: 5000, restarts: 1, p_init: 0.8, seed: 0 }
    }
}

/// Broken images leave the batch every so many queries; until then they are ignored.
const COMPACTION: u32 = 20;

impl Square {
    /// Share of the image that a square covers at `query`. It is halved on a schedule that was published for 10,000 queries
    /// and is scaled to `queries`.
    fn share(&self, query: u32) -> f64 {
        let published = u64::from(query) * 10_000 / u64::from(self.queries.max(1));
        let halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000].iter().filter(|&&at| published > at).count();
        self.p_init / f64::from(1u32 << halvings)
    }

    /// Side in pixels of such a square on an image of `height` by `width`: at least 1; in l2 odd and at least 3.
    fn side(&self, query: u32, norm: Norm, [height, width]: [i64; 2]) -> i64 {
        let side = (self.share(query) * (height * width) as f64).sqrt().round() as i64;
        let most = height.min(width);
        match norm {
            Norm::L2 => {
                let odd = side.max(3) / 2 * 2 + 1;
                if odd > most { (most - 1) / 2 * 2 + 1 } else { odd }
            }
            _ => side.clamp(1, most),
        }
    }
}

impl FixedRadius for Square {
    fn runs(&self, _: &dyn Target) -> u32 {
        self.restarts.max(1)
    }

    /// Searches in l2 and linf. In l0 and l1 it tries only `start` and the clean images.
    fn run(&self, setup: &Setup<'_>) -> RunResult {
        let Setup { target: net, batch, norm, radius, run, start } = *setup;
        let mut state = SquareState::new(batch, norm, self.seed, run);
        let first = match (start, norm) {
            (Some(start), _) => start.shallow_clone(),
            (None, Norm::L2 | Norm::Linf) => state.initial(norm, radius),
            (None, Norm::L0 | Norm::L1) => batch.images.shallow_clone(),
        };
        state.try_images(net, &norm::project_and_clip(batch.images, &first, norm, radius));
        if matches!(norm, Norm::L2 | Norm::Linf) {
            for query in 1..self.queries {
                if query % COMPACTION == 1 && state.remove_broken() {
                    break;
                }
                let candidate = match norm {
                    Norm::L2 => state.l2(self.side(query, norm, state.size()), radius),
                    _ => state.linf(self.side(query, norm, state.size()), radius),
                };
                state.try_images(net, &norm::project_and_clip(&state.active.clean, &candidate, norm, radius));
            }
        }
        state.remove_broken();
        let SquareState { active, best, .. } = state;
        active.finish(&best)
    }
}

/// The search of the K images that have not left the batch.
struct SquareState {
    active: ActiveImages,
    best: Tensor,
    /// Right logit minus the best wrong one, f32 `[K]`.
    margin: Tensor,
    /// bool `[K]`
    broken: Tensor,
    /// One an image: its draws do not depend on the other images.
    streams: Vec<Stream>,
}

impl SquareState {
    fn new(batch: &Batch<'_>, norm: Norm, seed: u64, restart: u32) -> Self {
        let size = batch.ids.len() as i64;
        let device = batch.images.device();
        Self {
            active: ActiveImages::new(batch, batch.images, norm),
            best: batch.images.shallow_clone(),
            margin: Tensor::full([size], f64::INFINITY, (Kind::Float, device)),
            broken: Tensor::zeros([size], (Kind::Bool, device)),
            streams: batch.ids.iter().map(|&id| noise::stream(seed, restart, id, NoiseKey::Square)).collect(),
        }
    }

    /// Height and width.
    fn size(&self) -> [i64; 2] {
        let size = self.active.clean.size();
        [size[2], size[3]]
    }

    /// One query: takes over each image that lowers the margin or is misclassified. Broken images do not change any more.
    fn try_images(&mut self, net: &dyn Target, images: &Tensor) {
        let logits = target::logits(net, images);
        let labels = self.active.labels.unsqueeze(1);
        let others = logits.scatter_value(1, &labels, f64::NEG_INFINITY).amax([1i64].as_slice(), false);
        let margin = logits.gather(1, &labels, false).squeeze_dim(1) - others;
        let wrong = target::misclassified(&logits, &self.active.labels);
        let better = margin.lt_tensor(&self.margin).logical_or(&wrong).logical_and(&self.broken.logical_not());
        self.best = images.where_self(&norm::per_image(&better), &self.best);
        self.margin = margin.where_self(&better, &self.margin);
        self.broken = self.broken.logical_or(&wrong.logical_and(&better));
    }

    /// Takes out the broken images. Returns whether no image is left.
    fn remove_broken(&mut self) -> bool {
        if let Some(stay) = self.active.remove(&self.best, &self.broken) {
            let kept: Vec<i64> = Vec::try_from(&stay.to_device(Device::Cpu)).unwrap_or_default();
            self.streams = kept.iter().map(|&row| self.streams[row as usize].clone()).collect();
            for tensor in [&mut self.best, &mut self.margin, &mut self.broken] {
                *tensor = tensor.index_select(0, &stay);
            }
        }
        self.streams.is_empty()
    }

    /// f32 `[K, shape...]` of -1 and 1, drawn image by image.
    fn signs(&mut self, shape: &[i64]) -> Tensor {
        let count: i64 = shape.iter().product();
        let draw = |stream: &mut Stream| if stream.chance(0.5) { 1.0f32 } else { -1.0 };
        let values: Vec<f32> =
            self.streams.iter_mut().flat_map(|stream| (0..count).map(|_| draw(stream)).collect::<Vec<_>>()).collect();
        let size: Vec<i64> = std::iter::once(self.streams.len() as i64).chain(shape.iter().copied()).collect();
        Tensor::from_slice(&values).view(size.as_slice()).to_device(self.active.clean.device())
    }

    /// A random square of `side` in each image.
    fn window(&mut self, side: i64) -> Window {
        let [height, width] = self.size();
        let mut corner = |length: i64| -> Vec<i64> {
            self.streams.iter_mut().map(|stream| stream.below((length - side + 1) as u64) as i64).collect()
        };
        let (top, left) = (corner(height), corner(width));
        let place = |values: Vec<i64>| Tensor::from_slice(&values).view([-1, 1]).to_device(self.active.clean.device());
        Window::new(&place(top), &place(left), side, [height, width])
    }

    /// The first images. In linf the perturbation is vertical stripes of ±radius in each channel, in l2 a grid of bumps.
    fn initial(&mut self, norm: Norm, radius: f64) -> Tensor {
        let size = self.active.clean.size();
        let (channels, [height, width]) = (size[1], self.size());
        if norm == Norm::Linf {
            let stripes = self.signs(&[channels, 1, width]);
            return &self.active.clean + stripes * radius;
        }
        let side = (height.min(width) / 5).max(1);
        let perturbation = self.active.clean.zeros_like();
        for row in 0..height / side {
            for column in 0..width / side {
                let turned = self.signs(&[1, 1, 1]).gt(0.0);
                let shape = bump(side, self.active.clean.device());
                let shape = shape.where_self(&turned, &shape.tr());
                let mut tile = perturbation.narrow(2, row * side, side).narrow(3, column * side, side);
                tile.copy_(&(shape * self.signs(&[channels, 1, 1])));
            }
        }
        &self.active.clean + norm::unit(&perturbation) * radius
    }

    /// A square of one colour, ±radius in each channel.
    fn linf(&mut self, side: i64, radius: f64) -> Tensor {
        let window = self.window(side);
        let channels = self.active.clean.size()[1];
        let signs = self.signs(&[channels, 1, 1]);
        let colour = &self.active.clean + signs * radius;
        colour.where_self(&window.inside, &self.best)
    }

    /// Algorithm 3: a bump in one window, whose length comes from emptying another window and from the slack of the ball.
    fn l2(&mut self, side: i64, radius: f64) -> Tensor {
        let (to, from) = (self.window(side), self.window(side));
        let turned = self.signs(&[1, 1, 1]).gt(0.0);
        let channels = self.active.clean.size()[1];
        let signs = self.signs(&[channels, 1, 1]);
        let plane = |x: Tensor| x.square().sum_dim_intlist([2i64, 3].as_slice(), true, Kind::Float);
        let old = &self.best - &self.active.clean;
        let in_window = &old * &to.inside;
        let shape = bump(side, self.active.clean.device());
        let bumps = to.place(&shape).where_self(&turned, &to.place(&shape.tr())) * signs
            + &in_window / plane(in_window.shallow_clone()).sqrt().clamp_min(1e-12);
        let slack = norm::per_image(&norm::length(&old, Norm::L2)).square() * -1.0 + radius * radius;
        let budget = slack.clamp_min(0.0) / channels as f64 + plane(&old * to.inside.logical_or(&from.inside));
        let length = plane(bumps.shallow_clone()).sqrt().clamp_min(1e-12);
        let bumps = bumps / length * budget.sqrt();
        let emptied = &old * from.inside.logical_not();
        let perturbation = bumps.where_self(&to.inside, &emptied);
        &self.active.clean + norm::unit(&perturbation) * radius
    }
}

#[cfg(test)]
mod tests;

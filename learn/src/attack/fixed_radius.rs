//! From attacks at one radius to distances: the radii of a grid, one after the other.
//!
//! An image falls at the first radius at which it is broken and is not asked at larger ones, so that its curve never
//! comes back. Its distance is the length of what broke it, at most that radius.

use tandem_domain::spec::Norm;
use tch::Tensor;

use super::{Adversarials, Batch, Target};

/// What one run of a fixed-radius attack is given.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub target: &'a dyn Target,
    pub batch: &'a Batch<'a>,
    pub norm: Norm,
    pub radius: f64,
    /// Below [`FixedRadius::runs`].
    pub run: u32,
    /// `[B, 3, H, W]`: where to begin, after it was taken back to the ball; `None`: the attack's own beginning.
    pub start: Option<&'a Tensor>,
}

/// What one run of a fixed-radius attack leaves.
#[derive(Debug)]
pub struct RunResult {
    /// Distances are infinite where no misclassified image was met.
    pub found: Adversarials,
    /// `[B, 3, H, W]`: where the loss was highest (for fallen images: where they fell), to go on from.
    pub iterate: Tensor,
}

/// An attack that searches inside one ball.
pub trait FixedRadius {
    /// Runs that differ in their random numbers or in the class they aim at.
    fn runs(&self, target: &dyn Target) -> u32;

    /// Attacks every image of the batch, also misclassified ones.
    fn run(&self, setup: &Setup<'_>) -> RunResult;

    /// All runs at one radius, each on those that the runs before it left.
    fn all_runs(&self, target: &dyn Target, batch: &Batch<'_>, norm: Norm, radius: f64) -> Adversarials {
        let mut known = Adversarials::clean(target, batch);
        ascend(self, target, batch, norm, &[radius], &mut known);
        known
    }
}

/// From the smallest radius to the largest (`radii` grow). Each run begins where the same run stood at the radius before.
/// Images that are known at a radius or nearer are left alone there.
pub fn ascend<A: FixedRadius + ?Sized>(
    attack: &A,
    target: &dyn Target,
    batch: &Batch<'_>,
    norm: Norm,
    radii: &[f64],
    known: &mut Adversarials,
) {
    let mut iterates: Vec<Option<Tensor>> = (0..attack.runs(target)).map(|_| None).collect();
    for &radius in radii {
        for (run, iterate) in (0..).zip(&mut iterates) {
            let rows = known.robust_at(radius);
            if rows.size()[0] == 0 {
                break;
            }
            let part = batch.select(&rows);
            let start = iterate.as_ref().map(|all| all.index_select(0, &rows));
            let setup = Setup { target, batch: &part.batch(), norm, radius, run, start: start.as_ref() };
            let done = attack.run(&setup);
            known.take(&rows, &done.found);
            let all = iterate.take().unwrap_or_else(|| batch.images.shallow_clone());
            *iterate = Some(all.index_copy(0, &rows, &done.iterate));
        }
    }
}

/// From the largest radius down: an image that stands at a radius is not asked at smaller ones. With tight distances known
/// already, an expensive attack is run once or twice an image instead of at every radius below.
pub fn descend<A: FixedRadius + ?Sized>(
    attack: &A,
    target: &dyn Target,
    batch: &Batch<'_>,
    norm: Norm,
    radii: &[f64],
    known: &mut Adversarials,
) {
    let mut open = known.distance.gt(0.0);
    for &radius in radii.iter().rev() {
        for run in 0..attack.runs(target) {
            let rows = known.distance.gt(radius).logical_and(&open).nonzero().flatten(0, -1);
            if rows.size()[0] == 0 {
                break;
            }
            let part = batch.select(&rows);
            let setup = Setup { target, batch: &part.batch(), norm, radius, run, start: None };
            known.take(&rows, &attack.run(&setup).found);
        }
        open = open.logical_and(&known.distance.le(radius));
    }
}

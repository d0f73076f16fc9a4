//! Attacks that search in a ball of fixed radius, and how the radii of a grid make distances of them.
//!
//! An image that is broken at one radius is not attacked at larger ones, so that its curve never falls again. Its distance
//! is the length of the perturbation that broke it, at most that radius.

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

/// The outcome of one run of a fixed-radius attack.
#[derive(Debug)]
pub struct RunResult {
    /// Distances are infinite where no misclassified image was found.
    pub found: Adversarials,
    /// `[B, 3, H, W]`: for broken images what broke them, for others where the loss was highest. A larger radius may begin
    /// there.
    pub iterate: Tensor,
}

/// An attack that searches in a ball of one radius.
pub trait FixedRadius {
    /// How many runs it has, which differ in their random numbers or in the class they aim at.
    fn runs(&self, target: &dyn Target) -> u32;

    /// Attacks every image of the batch, also misclassified ones.
    fn run(&self, setup: &Setup<'_>) -> RunResult;

    /// All runs at one radius, each on the images that the runs before it did not break.
    fn all_runs(&self, target: &dyn Target, batch: &Batch<'_>, norm: Norm, radius: f64) -> Adversarials {
        let mut known = Adversarials::clean(target, batch);
        ascend(self, target, batch, norm, &[radius], &mut known);
        known
    }
}

/// From the smallest radius to the largest (`radii` grow). Each run begins where the same run ended at the radius before.
/// Images that are known to be broken within a radius are not attacked at it.
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

/// From the largest radius down. An image that is not broken at a radius is not attacked at smaller ones: if its distance is
/// already known well, an expensive attack runs once or twice on it instead of at every radius below.
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

//! One step in l1 or l0, where the gradient is no good direction: it moves all elements, and these norms want few.
//!
//! Both forces go by the linear model of the margin at the iterate, m(w) = m + g·(w − z). The norm takes off a share; what
//! that costs in margin is bought back where it is cheapest in this norm, as far as pixels have room.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::super::{ball, fab, norm};

/// How much margin is bought back beyond what the norm took, as a share of it: the model is not the net.
const BEYOND: f64 = 0.15;

/// The iterate, and the margin there, as one row an image.
pub(super) struct Linearised<'a> {
    pub(super) clean: &'a Tensor,
    pub(super) current: &'a Tensor,
    /// f32 `[K]`, above 0 where the iterate is misclassified.
    pub(super) margin: &'a Tensor,
    pub(super) gradient: &'a Tensor,
}

impl Linearised<'_> {
    /// The next iterate, with `share` f32 `[K]` of the norm taken off.
    pub(super) fn step(&self, norm: Norm, share: &Tensor) -> Tensor {
        match norm {
            Norm::L0 => self.l0(share),
            _ => self.l1(share),
        }
    }

    /// The proximal operator with a weight of a share of the largest element; then the elements of the steepest gradient move.
    fn l1(&self, share: &Tensor) -> Tensor {
        let perturbation = self.current - self.clean;
        let by = norm::per_image(&(norm::length(&perturbation, Norm::Linf) * share));
        let shrunk = self.clean + perturbation.sign() * (perturbation.abs() - by).clamp_min(0.0);
        self.bought_back(&shrunk)
    }

    /// `point`, moved along the shortest way in l1 to where the model has margin to spare.
    fn bought_back(&self, point: &Tensor) -> Tensor {
        let cost = dot(self.gradient, &(self.current - point));
        let gap = (&cost * (1.0 + BEYOND) - self.margin).clamp_min(0.0);
        let way = fab::shortest(Norm::L1, &norm::rows(point), &norm::rows(self.gradient), &gap);
        norm::clip(&(point + way.view_as(point)))
    }

    /// The elements that matter least go back to the clean image; those that stay move as far as they can, which costs
    /// nothing; if that does not suffice, the elements of the greatest effect join.
    fn l0(&self, share: &Tensor) -> Tensor {
        let perturbation = self.current - self.clean;
        let count = norm::length(&perturbation, Norm::L0);
        let drop = (&count * share).ceil().minimum(&(&count - 1.0)).clamp_min(0.0);
        // What a full move in the direction of the gradient brings, and what the present one does.
        let end = self.gradient.gt(0.0).to_kind(Kind::Float);
        let reach = self.gradient * (&end - self.clean);
        let moved = perturbation.ne(0.0);
        let use_of = (self.gradient * &perturbation).maximum(&reach);
        let least = use_of.where_self(&moved, &use_of.full_like(f64::NEG_INFINITY));
        let stays = ball::top(&least, &(&count - &drop)).logical_and(&moved);
        let kept = self.current.where_self(&stays, self.clean);
        let pushed = end.where_self(&stays, self.clean);
        // To its end only where the model gains by it.
        let kept = pushed.where_self(&stays.logical_and(&reach.gt_tensor(&(self.gradient * &perturbation))), &kept);
        let margin = self.margin + dot(self.gradient, &(&kept - self.current));
        let cost = dot(self.gradient, &(self.current - self.current.where_self(&stays, self.clean)));
        let wanted = (cost * BEYOND - margin).clamp_min(0.0);
        // The first elements whose sum is enough.
        let free = reach.masked_fill(&stays, 0.0);
        let (sorted, order) = norm::rows(&free).sort(1, true);
        let before = sorted.cumsum(1, None) - &sorted;
        let join = before.lt_tensor(&wanted.unsqueeze(1)).logical_and(&sorted.gt(0.0));
        let join = join.zeros_like().scatter(1, &order, &join).view_as(&kept);
        end.where_self(&join, &kept)
    }
}

fn dot(a: &Tensor, b: &Tensor) -> Tensor {
    norm::rows(&(a * b)).sum_dim_intlist([1i64].as_slice(), false, Kind::Float)
}

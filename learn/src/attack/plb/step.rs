//! One step of both forces: along the barrier's gradient, then the norm's proximal operator, then [0, 1]. Relative steps in l1
//! and l0 are `sparse`'s.

use tandem_domain::spec::{self, Norm};
use tch::{Kind, Tensor};

use super::super::{norm, prox::prox};

/// The published step: w = clip(x + prox_{mu·‖·‖}(z − x + dt·a·∇log m)) with a = alpha·beta^round.
///
/// All images `[B, 3, H, W]`; `gradient` is ∇log m(z).
pub(super) fn published(
    norm: Norm,
    clean: &Tensor,
    current: &Tensor,
    gradient: &Tensor,
    constants: &spec::Plb,
    round: u32,
) -> Tensor {
    let barrier = constants.alpha * constants.beta.powi(round as i32);
    let moved = norm::rows(&(current - clean + gradient * (constants.dt * barrier)));
    let mu = Tensor::full([moved.size()[0], 1], constants.mu, (Kind::Float, moved.device()));
    norm::clip(&(clean + prox(norm, &moved, &mu).view_as(clean)))
}

/// The barrier's strength relative to the norm's: where both forces balance, the distance to the boundary is this share of
/// what the norm takes off.
const STRENGTH: f64 = 0.1;
/// The barrier's push is searched between these powers of ten, in units of ‖z − x‖₂,
const PUSH: (f64, f64) = (-6.0, 3.0);
/// in so many halvings, to 0.1 %.
const HALVINGS: u32 = 14;

/// The same two forces, measured by the iterate's own distance r = ‖z − x‖₂, with an implicit step of the barrier's.
///
/// The norm takes off `share` of the distance. The barrier pushes by K along n = ∇m/‖∇m‖. An explicit step would be
/// K = dt·a/t with t = m/‖∇m‖, the distance to the boundary before the step: it leaps where t is small, and elsewhere lets
/// the norm cross the boundary. Here t is the distance *after* the step, in the linear model t(w) = m/‖∇m‖ + n·(w − z), as
/// in a proximal point method, which is stable for all lengths. K·t(w(K)) grows with K, so bisection finds K without the
/// net. With dt = share·r and a = 0.1·share·r nothing depends on the scale of the norm or of the classifier.
pub(super) fn relative(norm: Norm, clean: &Tensor, current: &Tensor, gradient: &Tensor, share: f64) -> Tensor {
    let perturbation = current - clean;
    let length = norm::length(&perturbation, Norm::L2);
    let away = norm::unit(gradient);
    // In linf the steepest direction is the sign of the gradient; along the gradient most elements would hardly move.
    let direction = if norm == Norm::Linf { norm::unit(&gradient.sign()) } else { away.shallow_clone() };
    // m/‖∇m‖ = 1/‖∇log m‖.
    let margin = norm::length(gradient, Norm::L2).clamp_min(1e-30).reciprocal();
    let strength = length.square() * (STRENGTH * share * share);
    let stepped = |power: &Tensor| {
        let push = &length * power.exp2();
        let moved = &perturbation + &direction * norm::per_image(&push);
        let images = norm::clip(&(clean + shrink(norm, &moved, share)));
        (images, push)
    };
    let scale = std::f64::consts::LOG2_10;
    let mut low = length.full_like(PUSH.0 * scale);
    let mut high = length.full_like(PUSH.1 * scale);
    for _ in 0..HALVINGS {
        let middle = (&low + &high) * 0.5;
        let (images, push) = stepped(&middle);
        let margin_after = &margin + norm::rows(&(&away * (images - current))).sum_dim_intlist(1, false, Kind::Float);
        let enough = (push * margin_after).ge_tensor(&strength);
        high = middle.where_self(&enough, &high);
        low = low.where_self(&enough, &middle);
    }
    stepped(&high).0
}

/// The norm's proximal operator with the weight that takes `share` off the length; in l2 and l∞ alone.
fn shrink(norm: Norm, moved: &Tensor, share: f64) -> Tensor {
    match norm {
        // prox with mu = share·‖moved‖.
        Norm::L0 | Norm::L1 | Norm::L2 => moved * (1.0 - share),
        // The proximal operator clamps to some height; for which mu does not matter.
        Norm::Linf => {
            let ceiling = norm::per_image(&(norm::length(moved, Norm::Linf) * (1.0 - share)));
            moved.minimum(&ceiling).maximum(&-&ceiling)
        }
    }
}

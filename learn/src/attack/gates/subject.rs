//! What is checked: the attack that vouches for a result, and the loss that it climbs.

use tandem_domain::spec::{Attack, AttackLoss, AttackMethod, Norm, Plb};
use tch::{Kind, Tensor};

use crate::attack::loss::{cross_entropy, dlr_targeted, margin, ranked_targets};
use crate::attack::norm::length;
use crate::attack::target::value_and_grad;
use crate::attack::{Batch, Target};

/// The loss that an attack climbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Climbs {
    CrossEntropy,
    Margin,
    Dlr,
    /// Of several attacks one climbs the margin, the others the cross-entropy or something else.
    Any,
    /// Square has none.
    Nothing,
}

impl Climbs {
    pub(super) fn of(spec: &Attack) -> Self {
        match (spec.attack, spec.loss) {
            (AttackMethod::Pgd, AttackLoss::CrossEntropy) | (AttackMethod::Apgd | AttackMethod::Ddn, _) => {
                Self::CrossEntropy
            }
            (AttackMethod::Pgd, AttackLoss::Margin)
            | (AttackMethod::Plb | AttackMethod::Fab | AttackMethod::Fmn, _) => Self::Margin,
            (AttackMethod::ApgdT, _) => Self::Dlr,
            (AttackMethod::BestOf, _) => Self::Any,
            (AttackMethod::Square, _) => Self::Nothing,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CrossEntropy => "cross-entropy",
            Self::Margin | Self::Any | Self::Nothing => "margin",
            Self::Dlr => "targeted DLR",
        }
    }
}

/// The single attack to run for the checks of `spec`, with few of PLB's steps; `None` for Square.
pub(super) fn checked(spec: &Attack) -> Option<Attack> {
    let plb = Plb { outer: spec.plb.outer.min(5), inner: spec.plb.inner.min(10), ..spec.plb };
    let alone = |attack, loss| Some(Attack { attack, loss, plb, ..spec.clone() });
    match (spec.attack, spec.norm) {
        (AttackMethod::Square, _) => None,
        (AttackMethod::BestOf, Norm::L2 | Norm::Linf) => alone(AttackMethod::Pgd, AttackLoss::Margin),
        (AttackMethod::BestOf, Norm::L0 | Norm::L1) => alone(AttackMethod::Plb, spec.loss),
        (method, _) => alone(method, spec.loss),
    }
}

/// Shares of images without a gradient: of the loss that is climbed, and of that and the margin both.
pub(super) fn zero_gradients(target: &dyn Target, batch: &Batch<'_>, climbs: Climbs) -> (f64, f64) {
    let zero = |loss: &dyn Fn(&Tensor) -> Tensor| {
        length(&value_and_grad(target, batch.images, loss).gradient, Norm::Linf).eq(0.0)
    };
    let cross_entropy = || zero(&|logits| cross_entropy(logits, batch.labels));
    // With one class there is no margin.
    let margin = || match target.classes() {
        0 | 1 => cross_entropy(),
        _ => zero(&|logits| margin(logits, batch.labels)),
    };
    let climbed = match climbs {
        Climbs::CrossEntropy => cross_entropy(),
        Climbs::Dlr if target.classes() > 1 => zero(&|logits| {
            let likeliest = ranked_targets(logits, batch.labels).select(1, 0);
            dlr_targeted(logits, batch.labels, &likeliest)
        }),
        Climbs::Dlr | Climbs::Margin | Climbs::Any | Climbs::Nothing => margin(),
    };
    (share(&climbed), share(&climbed.logical_and(&margin())))
}

pub(super) fn share(images: &Tensor) -> f64 {
    images.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

//! DDN (Rony et al. 2019, "Decoupling direction and norm for efficient gradient-based l2 adversarial attacks and defenses"):
//! the smallest perturbation in l2.
//!
//! Each step climbs the cross-entropy and returns to a sphere around the clean image, which shrinks by a share while the
//! iterate is misclassified and grows by it while it is not.

use tandem_domain::spec::Norm;

use super::ball::longest;
use super::noise::{self, NoiseKey};
use super::{Adversarials, Batch, Target, loss, norm, target};

/// The published constants are the default.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub steps: u32,
    /// Radius of the first sphere, and the share by which it changes.
    pub radius: f64,
    pub gamma: f64,
    /// The first run begins at the clean image, the others at random points of the first sphere.
    pub restarts: u32,
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { steps: 100, radius: 1.0, gamma: 0.05, restarts: 1, seed: 0 }
    }
}

/// Lengths of the first and the last step, in l2.
const STEP: (f64, f64) = (1.0, 0.01);
/// Halvings of the final segment.
const HALVINGS: u32 = 8;

/// Nearest misclassified images in l2.
pub fn run(net: &dyn Target, batch: &Batch<'_>, settings: &Settings) -> Adversarials {
    Adversarials::of_right(net, batch, |right| {
        let mut found = Adversarials::clean(net, right);
        for restart in 0..settings.restarts.max(1) {
            let one = attack(net, right, settings, restart);
            found.improve(right.images, &one.images, &one.distance.isfinite(), Norm::L2);
        }
        found
    })
}

/// Attacks images that are all classified rightly.
fn attack(net: &dyn Target, batch: &Batch<'_>, settings: &Settings, restart: u32) -> Adversarials {
    let (clean, labels) = (batch.images, batch.labels);
    let mut found = Adversarials::clean(net, batch);
    let farthest = longest(clean, Norm::L2);
    let mut radius = farthest.full_like(settings.radius);
    let mut current = match restart {
        0 => clean.shallow_clone(),
        _ => {
            let shape = &clean.size()[1..];
            let noise = noise::normal(settings.seed, restart, batch.ids, NoiseKey::Ddn, shape, clean.device());
            norm::clip(&(clean + norm::unit(&noise) * settings.radius))
        }
    };
    for step in 0..settings.steps {
        let left = (1.0 + (std::f64::consts::PI * f64::from(step) / f64::from(settings.steps)).cos()) / 2.0;
        let length = STEP.1 + (STEP.0 - STEP.1) * left;
        let evaluated = target::value_and_grad(net, &current, |logits| loss::cross_entropy(logits, labels));
        let wrong = target::misclassified(&evaluated.logits, labels);
        found.improve(clean, &current, &wrong, Norm::L2);
        radius = (&radius * (1.0 - settings.gamma))
            .where_self(&wrong, &(&radius * (1.0 + settings.gamma)))
            .minimum(&farthest);
        let moved = &current - clean + norm::unit(&evaluated.gradient) * length;
        current = norm::clip(&(clean + norm::unit(&moved) * norm::per_image(&radius)));
    }
    let wrong = target::misclassified(&target::logits(net, &current), labels);
    found.improve(clean, &current, &wrong, Norm::L2);
    found.bisect(net, batch, Norm::L2, HALVINGS);
    found
}

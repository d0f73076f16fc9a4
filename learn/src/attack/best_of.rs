//! The attacks under their names in the experiment file, and the best of them.

use tandem_domain::spec::{Attack, AttackLoss, AttackMethod, Norm, PlbSteps, Preset};
use tch::{Kind, Tensor};

use super::apgd::{Apgd, ApgdLoss};
use super::fixed_radius::{FixedRadius, ascend, descend};
use super::pgd::Pgd;
use super::square::Square;
use super::{Adversarials, Batch, Target, ddn, fab, fmn, plb};

/// Square's queries for each step of the other attacks, if the spec sets their number: 5000 to 100, as in AutoAttack.
const QUERIES: u32 = 50;

/// The attack that found an adversarial image. The numbers are written to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Finder {
    /// Nothing: the attack failed, or the clean image is misclassified.
    None = 0,
    Pgd = 1,
    PgdMargin = 2,
    Apgd = 3,
    ApgdT = 4,
    Plb = 5,
    Fab = 6,
    Square = 7,
    Fmn = 8,
    Ddn = 9,
}

impl Finder {
    /// By their numbers.
    const ALL: [Self; 10] = [
        Self::None,
        Self::Pgd,
        Self::PgdMargin,
        Self::Apgd,
        Self::ApgdT,
        Self::Plb,
        Self::Fab,
        Self::Square,
        Self::Fmn,
        Self::Ddn,
    ];

    pub fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::None)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pgd => "pgd",
            Self::PgdMargin => "pgd-margin",
            Self::Apgd => "apgd",
            Self::ApgdT => "apgd-t",
            Self::Plb => "plb",
            Self::Fab => "fab",
            Self::Square => "square",
            Self::Fmn => "fmn",
            Self::Ddn => "ddn",
        }
    }

    /// Whether it can search in this norm.
    fn supports(self, norm: Norm) -> bool {
        match self {
            Self::Plb | Self::Fmn => true,
            Self::Ddn => norm == Norm::L2,
            Self::Fab => norm != Norm::L0,
            _ => matches!(norm, Norm::L2 | Norm::Linf),
        }
    }
}

/// The nearest adversarial images that were found, and by which attacks.
#[derive(Debug)]
pub struct AttackResult {
    pub found: Adversarials,
    /// [`Finder`] as u8 `[B]`.
    pub finders: Tensor,
    /// f32 `[B]`: the smallest distance found by the attacks that use gradients, which are all but Square.
    pub white_box: Tensor,
}

/// Whether this method has an attack that can search in this norm.
pub fn supports(method: AttackMethod, norm: Norm) -> bool {
    attacks_for(method, AttackLoss::default(), norm).iter().any(|finder| finder.supports(norm))
}

/// Runs what the experiment file asks for.
///
/// A single attack at fixed radii ascends the grid. "best-of" begins with the attacks that search for the smallest distance;
/// the others descend the grid from there, the cheap ones first and Square last.
///
/// `fallback` `[C, 3, H, W]` holds for each label a rightly classified image of another class. PLB starts there if no noise
/// is misclassified.
pub fn attack(
    target: &dyn Target,
    batch: &Batch<'_>,
    spec: &Attack,
    seed: u64,
    fallback: Option<&Tensor>,
) -> AttackResult {
    let fallback = fallback.map(|images| images.index_select(0, batch.labels));
    let found = Adversarials::clean(target, batch);
    let finders = found.distance.zeros_like().to_kind(Kind::Uint8);
    let mut result = AttackResult { white_box: found.distance.shallow_clone(), found, finders };
    for finder in attacks_for(spec.attack, spec.loss, spec.norm) {
        let before = result.found.distance.shallow_clone();
        let single = SingleAttack { finder, spec, seed, fallback: fallback.as_ref() };
        single.search(target, batch, &mut result.found);
        let nearer = result.found.distance.lt_tensor(&before);
        result.finders = result.finders.masked_fill(&nearer, finder as i64);
        if finder != Finder::Square {
            result.white_box = result.found.distance.shallow_clone();
        }
    }
    result
}

fn attacks_for(method: AttackMethod, loss: AttackLoss, norm: Norm) -> Vec<Finder> {
    let all = match method {
        AttackMethod::Pgd => match loss {
            AttackLoss::CrossEntropy => vec![Finder::Pgd],
            AttackLoss::Margin => vec![Finder::PgdMargin],
        },
        AttackMethod::Apgd => vec![Finder::Apgd],
        AttackMethod::ApgdT => vec![Finder::ApgdT],
        AttackMethod::Plb => vec![Finder::Plb],
        AttackMethod::Fab => vec![Finder::Fab],
        AttackMethod::Square => vec![Finder::Square],
        AttackMethod::Fmn => vec![Finder::Fmn],
        AttackMethod::Ddn => vec![Finder::Ddn],
        AttackMethod::BestOf => {
            use Finder::{Apgd, ApgdT, Ddn, Fab, Fmn, Pgd, PgdMargin, Plb, Square};
            vec![Plb, Fmn, Ddn, Fab, Pgd, PgdMargin, Apgd, ApgdT, Square]
        }
    };
    all.into_iter().filter(|finder| finder.supports(norm)).collect()
}

/// One of the attacks that a spec asks for.
struct SingleAttack<'a> {
    finder: Finder,
    spec: &'a Attack,
    seed: u64,
    /// `[B, 3, H, W]`
    fallback: Option<&'a Tensor>,
}

impl SingleAttack<'_> {
    fn search(&self, target: &dyn Target, batch: &Batch<'_>, known: &mut Adversarials) {
        let Self { finder, spec, seed, .. } = *self;
        let (steps, restarts) = (spec.steps, spec.restarts);
        let mut search = |attack: &dyn FixedRadius| {
            let way = if self.best_of() { descend } else { ascend };
            way(attack, target, batch, spec.norm, &spec.grid(), known);
        };
        match finder {
            Finder::None => {}
            Finder::Pgd => search(&self.pgd(AttackLoss::CrossEntropy)),
            Finder::PgdMargin => search(&self.pgd(AttackLoss::Margin)),
            Finder::Apgd => search(&Apgd::new(steps, restarts, ApgdLoss::CrossEntropy, seed)),
            Finder::ApgdT => search(&Apgd::new(steps, restarts, ApgdLoss::TargetedDlr, seed)),
            Finder::Square => search(&self.square()),
            Finder::Plb => (0..restarts).for_each(|restart| {
                let found = plb::run(target, batch, spec.norm, &self.plb(restart), self.fallback);
                known.take(&all_rows(batch), &found);
            }),
            Finder::Fmn => {
                let settings = fmn::Settings { seed, restarts, ..fmn::Settings::default() };
                let settings = fmn::Settings { steps: steps.unwrap_or(settings.steps), ..settings };
                known.take(&all_rows(batch), &fmn::run(target, batch, spec.norm, &settings));
            }
            Finder::Ddn => {
                let settings = ddn::Settings { seed, restarts, ..ddn::Settings::default() };
                let settings = ddn::Settings { steps: steps.unwrap_or(settings.steps), ..settings };
                known.take(&all_rows(batch), &ddn::run(target, batch, &settings));
            }
            Finder::Fab => {
                let settings =
                    fab::Settings { iterations: steps.unwrap_or(100), restarts, seed, ..fab::Settings::default() };
                known.take(&all_rows(batch), &fab::run(target, batch, spec.norm, &settings));
            }
        }
    }

    fn best_of(&self) -> bool {
        self.spec.attack == AttackMethod::BestOf
    }

    fn pgd(&self, loss: AttackLoss) -> Pgd {
        match self.spec.preset {
            Preset::Reference => Pgd::reference(self.spec.steps, self.spec.restarts, loss, self.seed),
            Preset::Paper => Pgd::paper(self.spec.steps, loss),
        }
    }

    fn square(&self) -> Square {
        let queries = match self.spec.steps {
            None => 5000,
            Some(steps) if self.best_of() => steps.saturating_mul(QUERIES),
            Some(queries) => queries,
        };
        Square { queries, restarts: self.spec.restarts, seed: self.seed, ..Square::default() }
    }

    fn plb(&self, restart: u32) -> plb::Settings {
        let (noise, steps) = match (self.spec.preset, self.spec.plb.steps) {
            (Preset::Paper, _) => (0.1, plb::Steps::Paper),
            (Preset::Reference, PlbSteps::Published) => (0.01, plb::Steps::Published),
            (Preset::Reference, PlbSteps::Relative) => (0.01, plb::Steps::Relative),
        };
        plb::Settings { constants: self.spec.plb, steps, noise, seed: self.seed, restart }
    }
}

fn all_rows(batch: &Batch<'_>) -> Tensor {
    Tensor::arange(batch.ids.len() as i64, (Kind::Int64, batch.images.device()))
}

#[cfg(test)]
mod tests {
    use super::super::toy::{Sample, hidden};
    use super::*;

    fn spec(attack: &str, norm: &str) -> Attack {
        let text =
            format!(r#"{{"attack": "{attack}", "norm": "{norm}", "steps": 20, "radii": [0.02, 0.04, 0.06, 0.08]}}"#);
        serde_json::from_str(&text).unwrap()
    }

    /// Compared by steps of the grid: an attack that descends it comes no nearer than the radius at which it fails.
    #[test]
    fn the_best_is_no_worse_than_any_single_attack_and_names_the_finder() {
        let target = hidden();
        let sample = Sample::of(&target, 24);
        let _ = sample.labels.get(5).fill_((sample.labels.int64_value(&[5]) + 1) % 4);
        let run = |method| attack(&target, &sample.batch(), &spec(method, "l2"), 1, None);
        let distances = |result: &AttackResult| Vec::<f32>::try_from(&result.found.distance).unwrap();
        let best = run("best-of");
        let by: Vec<Finder> = Vec::<u8>::try_from(&best.finders).unwrap().into_iter().map(Finder::from_code).collect();
        let grid = spec("pgd", "l2").grid();
        let step = |distance: f32| grid.iter().position(|&radius| f64::from(distance) <= radius);
        for method in ["pgd", "apgd", "apgd-t", "plb", "fmn", "ddn", "fab", "square"] {
            let single = run(method);
            let worse = distances(&best).iter().zip(distances(&single)).position(|(best, single)| {
                step(single).is_some_and(|single| step(*best).is_none_or(|best| best > single))
            });
            assert_eq!(worse, None, "{method}: {:?} {:?}", distances(&best), distances(&single));
        }
        for (distance, by) in distances(&best).into_iter().zip(&by) {
            assert_eq!(*by == Finder::None, distance == 0.0 || distance.is_infinite(), "{distance} {by:?}");
        }
        assert_eq!((distances(&best)[5], by[5]), (0.0, Finder::None));
        assert!(best.white_box.ge_tensor(&best.found.distance).all().int64_value(&[]) == 1);
    }

    #[test]
    fn norms_that_an_attack_cannot_search_are_known() {
        assert!(supports(AttackMethod::Pgd, Norm::Linf) && !supports(AttackMethod::Apgd, Norm::L1));
        assert!(supports(AttackMethod::BestOf, Norm::L0) && supports(AttackMethod::Plb, Norm::L0));
        assert!(supports(AttackMethod::Fmn, Norm::L0) && !supports(AttackMethod::Ddn, Norm::Linf));
        for finder in Finder::ALL {
            assert_eq!(Finder::from_code(finder as u8), finder);
        }
        assert_eq!(Finder::from_code(Finder::Square as u8).name(), "square");
    }
}

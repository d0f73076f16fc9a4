//! The attacks by their names in the experiment file, and the best of them.

use tandem_domain::spec::{Attack, AttackLoss, AttackMethod, Norm, Preset};
use tch::{Kind, Tensor};

use super::apgd::{Aim, Apgd};
use super::ladder::{FixedRadius, ascend, descend};
use super::pgd::Pgd;
use super::{Batch, Found, Target};

/// What moved an image. The numbers stand in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Finder {
    /// Nothing: the attack failed, or the clean image is misclassified.
    Nobody = 0,
    Pgd = 1,
    PgdMargin = 2,
    Apgd = 3,
    ApgdT = 4,
    Plb = 5,
    Fab = 6,
    Square = 7,
}

impl Finder {
    const ALL: [Self; 8] =
        [Self::Nobody, Self::Pgd, Self::PgdMargin, Self::Apgd, Self::ApgdT, Self::Plb, Self::Fab, Self::Square];

    pub fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Nobody)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::Pgd => "pgd",
            Self::PgdMargin => "pgd-margin",
            Self::Apgd => "apgd",
            Self::ApgdT => "apgd-t",
            Self::Plb => "plb",
            Self::Fab => "fab",
            Self::Square => "square",
        }
    }

    /// The norms that it can search in.
    fn able(self, norm: Norm) -> bool {
        match self {
            Self::Plb => true,
            _ => matches!(norm, Norm::L2 | Norm::Linf),
        }
    }
}

/// The nearest misclassified image that was found of each, and by what.
#[derive(Debug)]
pub struct Verdicts {
    pub found: Found,
    /// [`Finder`] as u8 `[B]`.
    pub by: Tensor,
    /// f32 `[B]`: the distance that attacks with gradients found; without Square, that is.
    pub white_box: Tensor,
}

/// Whether this method can search in this norm, here.
pub fn able(method: AttackMethod, norm: Norm) -> bool {
    finders(method, AttackLoss::default(), norm).iter().any(|finder| finder.able(norm))
}

/// Runs what the experiment file asks for.
///
/// A single attack at fixed radii goes up the grid. The best of all begins with the attacks that search for the smallest
/// distance themselves, then takes the others down from there: first those that cost little, Square last.
pub fn attack(target: &dyn Target, batch: &Batch<'_>, spec: &Attack, seed: u64) -> Verdicts {
    let found = Found::clean(target, batch);
    let by = found.distance.zeros_like().to_kind(Kind::Uint8);
    let mut verdicts = Verdicts { white_box: found.distance.shallow_clone(), found, by };
    for finder in finders(spec.attack, spec.loss, spec.norm) {
        let before = verdicts.found.distance.shallow_clone();
        search(finder, target, batch, spec, seed, &mut verdicts.found);
        let nearer = verdicts.found.distance.lt_tensor(&before);
        verdicts.by = verdicts.by.masked_fill(&nearer, finder as i64);
        if finder != Finder::Square {
            verdicts.white_box = verdicts.found.distance.shallow_clone();
        }
    }
    verdicts
}

fn finders(method: AttackMethod, loss: AttackLoss, norm: Norm) -> Vec<Finder> {
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
        AttackMethod::BestOf => {
            vec![Finder::Plb, Finder::Fab, Finder::Pgd, Finder::PgdMargin, Finder::Apgd, Finder::ApgdT, Finder::Square]
        }
    };
    all.into_iter().filter(|finder| finder.able(norm)).collect()
}

fn search(finder: Finder, target: &dyn Target, batch: &Batch<'_>, spec: &Attack, seed: u64, known: &mut Found) {
    let (steps, restarts) = (spec.steps, spec.restarts);
    let mut climb = |attack: &dyn FixedRadius| {
        let way = if spec.attack == AttackMethod::BestOf { descend } else { ascend };
        way(attack, target, batch, spec.norm, &spec.grid(), known);
    };
    let pgd = |loss| match spec.preset {
        Preset::Reference => Pgd::reference(steps, restarts, loss, seed),
        Preset::Paper => Pgd::paper(steps, loss),
    };
    match finder {
        Finder::Nobody => {}
        Finder::Pgd => climb(&pgd(AttackLoss::CrossEntropy)),
        Finder::PgdMargin => climb(&pgd(AttackLoss::Margin)),
        Finder::Apgd => climb(&Apgd::new(steps, restarts, Aim::CrossEntropy, seed)),
        Finder::ApgdT => climb(&Apgd::new(steps, restarts, Aim::Targets, seed)),
        Finder::Plb | Finder::Fab | Finder::Square => {}
    }
}

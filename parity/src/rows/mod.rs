//! The comparisons, one file each.

mod attacks;
mod augment;
mod export;
mod losses;
mod prox;

use anyhow::Result;
use clap::ValueEnum;

use crate::judge::Row;
use crate::run::Run;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    All,
    Augment,
    Export,
    Losses,
    FiniteDifference,
    Prox,
    Attacks,
    Alone,
}

impl Part {
    const EACH: [Self; 7] =
        [Self::Augment, Self::Export, Self::Losses, Self::FiniteDifference, Self::Prox, Self::Attacks, Self::Alone];

    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::All => "everything",
            Self::Augment => "augmentation against torchvision",
            Self::Export => "exported weights in Python",
            Self::Losses => "losses, penalties and their derivatives in double precision",
            Self::FiniteDifference => "penalties by finite difference",
            Self::Prox => "proximal operators",
            Self::Attacks => "attacks on one classifier (the longest part)",
            Self::Alone => "attacks on batches of any size and order",
        }
    }

    pub(crate) fn compare(self, run: &Run) -> Result<Vec<Row>> {
        match self {
            Self::All => {
                Self::EACH.iter().map(|part| part.compare(run)).collect::<Result<Vec<_>>>().map(|rows| rows.concat())
            }
            Self::Augment => augment::compare(run),
            Self::Export => export::compare(run),
            Self::Losses => losses::derivatives(run),
            Self::FiniteDifference => losses::finite_difference(run),
            Self::Prox => prox::compare(run),
            Self::Attacks => attacks::compare(run),
            Self::Alone => attacks::alone(run),
        }
    }
}

/// Each part once, in the order of the table.
pub(crate) fn chosen(parts: &[Part]) -> Vec<Part> {
    let all = parts.contains(&Part::All);
    Part::EACH.into_iter().filter(|part| all || parts.contains(part)).collect()
}

//! The parts of a comparison, as the command line names them.

use clap::ValueEnum;

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
    pub(crate) const EACH: [Self; 7] =
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
}

/// Each part once, in the order of the table.
pub(crate) fn chosen(parts: &[Part]) -> Vec<Part> {
    let all = parts.contains(&Part::All);
    Part::EACH.into_iter().filter(|part| all || parts.contains(part)).collect()
}

//! The command line, and the parts of a comparison that it names.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Compares Tandem's results with those of independent implementations, each figure beside its tolerance. The exit code
/// is 1 where one is outside, or could not be measured.
///
/// Example: `tandem-parity augment export`
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// What to compare.
    #[arg(value_enum, default_value = "all")]
    pub(crate) parts: Vec<Part>,
    /// Folder that holds `cifar-10-batches-bin/`; without it the synthetic shapes are used.
    #[arg(long, env = "TANDEM_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// A Python that has the peers [default: the one `parity/setup` installs].
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    /// Test images that are attacked.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) images: u32,
    /// Give the peers of a part slightly other inputs: its rows must then fail. Shows that they can.
    #[arg(long = "break", value_enum, value_name = "PART")]
    pub(crate) broken: Vec<Part>,
    /// One JSON document on stdout instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }
}

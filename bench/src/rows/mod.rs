//! What is measured, one file each: the lines of the "Speed and memory".

mod augment;
mod idle;
mod ranks;
mod step;
mod submit;

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use tandem_domain::spec::Encoder;

use crate::row::Row;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// Everything below.
    All,
    /// SimCLR's step against Python PyTorch's, both with two threads.
    Step,
    /// Two views of a batch against torchvision v2 on PIL images, both on two cores.
    Augment,
    /// Two ranks of one thread against one rank of two threads.
    Ranks,
    /// From `tandem submit` to the first step on an idle box.
    Submit,
    /// What a coordinator with nothing to do costs.
    Idle,
}

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) pairs: usize,
    pub(crate) python: PathBuf,
    pub(crate) bin_dir: PathBuf,
}

/// What is set up, measured and torn down together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Step(Encoder),
    Augment,
    Ranks,
    Submit,
    Idle,
}

/// Each chosen part once, in the order of the table.
pub(crate) fn parts(choices: &[Choice]) -> Vec<Part> {
    let all = [
        (Choice::Step, Part::Step(Encoder::ResNet18)),
        (Choice::Step, Part::Step(Encoder::ResNetTiny)),
        (Choice::Augment, Part::Augment),
        (Choice::Ranks, Part::Ranks),
        (Choice::Submit, Part::Submit),
        (Choice::Idle, Part::Idle),
    ];
    let chosen = |choice| choices.contains(&choice) || choices.contains(&Choice::All);
    all.into_iter().filter(|&(choice, _)| chosen(choice)).map(|(_, part)| part).collect()
}

impl Part {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Step(Encoder::ResNetTiny) => "step of resnet-tiny, ours and PyTorch's",
            Self::Step(_) => "step of ResNet-18, ours and PyTorch's",
            Self::Augment => "augmentation, ours and torchvision's",
            Self::Ranks => "two ranks of one thread and one rank of two",
            Self::Submit => "submit to first step",
            Self::Idle => "idle coordinator",
        }
    }

    pub(crate) fn measure(self, run: &Run) -> Result<Vec<Row>> {
        match self {
            Self::Step(encoder) => step::measure(run, encoder),
            Self::Augment => augment::measure(run),
            Self::Ranks => ranks::measure(run),
            Self::Submit => submit::measure(run),
            Self::Idle => idle::measure(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_named_twice_is_measured_once_and_in_order() {
        assert_eq!(parts(&[Choice::Idle, Choice::Augment, Choice::Idle]), [Part::Augment, Part::Idle]);
        assert_eq!(parts(&[Choice::All, Choice::Idle]).len(), 6);
    }
}

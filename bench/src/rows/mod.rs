//! What is measured: one file for each group of rows of the table.

mod access;
mod ask;
mod attack;
mod augment;
mod checkpoint;
mod fetch;
mod history;
mod idle;
mod ingest;
mod load;
mod memory;
mod mlflow;
mod optimizer;
mod penalty;
mod queue;
mod ranks;
mod recovery;
mod sampling;
mod step;
mod submit;
mod training;

use anyhow::Result;
use clap::ValueEnum;
use tandem_domain::spec::{Encoder, OptimizerName};

use attack::Kind;
use augment::AugmentPeer;
use penalty::Comparison;
use step::Mode;

use crate::row::Row;
use crate::settings::Settings;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// Everything below.
    All,
    /// SimCLR's step against Python PyTorch's, as written and compiled, all with two threads.
    Step,
    /// Training, augmentation included, against the usual script with a DataLoader.
    Training,
    /// Two views of a batch against torchvision v2 on PIL images and against Kornia, on two cores.
    Augment,
    /// SGD and LARS on a ResNet-50's parameters against PyTorch's foreach operations.
    Optimizer,
    /// The input-gradient penalty against the plain step, and against PyTorch's double backward.
    Penalty,
    /// The three that follow.
    Attack,
    /// PGD against torchattacks.
    Pgd,
    /// ProxLogBarrier against its reference implementation's loop.
    Plb,
    /// FMN against Foolbox.
    Fmn,
    /// Peak memory of training against Python PyTorch's, and of recomputing graphs against keeping them.
    Memory,
    /// Two ranks of one thread against one rank of two threads.
    Ranks,
    /// From `tandem submit` to the first step in an idle cluster.
    Submit,
    /// What a coordinator with nothing to do costs.
    Idle,
    /// What a token and TLS cost a call, and `tandem status` from afar.
    Access,
    /// A thousand fake workers that report, over TLS.
    Load,
    /// Points as fast as they are stored, and the room they take.
    Ingest,
    /// The same fleet while a backup reads, as `pg_dump` does.
    Backup,
    /// A queue of 100,000 jobs against one of 1,000.
    Queue,
    /// From the kill of a rank to the next step, against torchrun.
    Recovery,
    /// What checkpoints cost training, and one of them against torch.save.
    Checkpoint,
    /// Questions about a history of --jobs jobs.
    Ask,
    /// The same kind of questions against MLflow's search.
    Mlflow,
    /// `tandem fetch` against curl and sha256sum.
    Fetch,
    /// What looking at a card costs a training beside it.
    Sampling,
}

/// Rows that are set up, measured and torn down together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Step(Encoder, Mode),
    Training,
    Augment(AugmentPeer),
    Optimizer(OptimizerName),
    Penalty(Comparison),
    Attack(Kind),
    Memory(Encoder),
    Recompute,
    Ranks,
    Submit,
    Idle,
    Access,
    Load,
    Ingest,
    Backup,
    Queue,
    Recovery,
    Checkpoint,
    Ask,
    Mlflow,
    Fetch,
    Sampling,
}

/// Each chosen part once, in the order of the table.
pub(crate) fn parts(choices: &[Choice]) -> Vec<Part> {
    let all = [
        (Choice::Step, Part::Step(Encoder::ResNet18, Mode::Eager)),
        (Choice::Step, Part::Step(Encoder::ResNet18, Mode::Compiled)),
        (Choice::Step, Part::Step(Encoder::ResNetTiny, Mode::Eager)),
        (Choice::Step, Part::Step(Encoder::ResNetTiny, Mode::Compiled)),
        (Choice::Training, Part::Training),
        (Choice::Augment, Part::Augment(AugmentPeer::Torchvision)),
        (Choice::Augment, Part::Augment(AugmentPeer::Kornia)),
        (Choice::Optimizer, Part::Optimizer(OptimizerName::Sgd)),
        (Choice::Optimizer, Part::Optimizer(OptimizerName::Lars)),
        (Choice::Penalty, Part::Penalty(Comparison::FiniteDifference)),
        (Choice::Penalty, Part::Penalty(Comparison::Exact)),
        (Choice::Penalty, Part::Penalty(Comparison::PyTorch)),
        (Choice::Pgd, Part::Attack(Kind::Pgd)),
        (Choice::Plb, Part::Attack(Kind::Plb)),
        (Choice::Fmn, Part::Attack(Kind::Fmn)),
        (Choice::Memory, Part::Memory(Encoder::ResNet18)),
        (Choice::Memory, Part::Memory(Encoder::ResNet50)),
        (Choice::Memory, Part::Recompute),
        (Choice::Ranks, Part::Ranks),
        (Choice::Submit, Part::Submit),
        (Choice::Idle, Part::Idle),
        (Choice::Access, Part::Access),
        (Choice::Load, Part::Load),
        (Choice::Ingest, Part::Ingest),
        (Choice::Backup, Part::Backup),
        (Choice::Queue, Part::Queue),
        (Choice::Recovery, Part::Recovery),
        (Choice::Checkpoint, Part::Checkpoint),
        (Choice::Ask, Part::Ask),
        (Choice::Mlflow, Part::Mlflow),
        (Choice::Fetch, Part::Fetch),
        (Choice::Sampling, Part::Sampling),
    ];
    let attacks = [Choice::Pgd, Choice::Plb, Choice::Fmn];
    let named = |choice: Choice| choices.contains(&choice);
    let chosen = |choice| named(choice) || named(Choice::All) || (named(Choice::Attack) && attacks.contains(&choice));
    all.into_iter().filter(|&(choice, _)| chosen(choice)).map(|(_, part)| part).collect()
}

impl Part {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Step(Encoder::ResNetTiny, Mode::Eager) => "step of resnet-tiny, ours and PyTorch's",
            Self::Step(Encoder::ResNetTiny, Mode::Compiled) => "step of resnet-tiny, ours and compiled PyTorch's",
            Self::Step(_, Mode::Eager) => "step of ResNet-18, ours and PyTorch's",
            Self::Step(_, Mode::Compiled) => "step of ResNet-18, ours and compiled PyTorch's",
            Self::Training => "training of ResNet-18, ours and the usual script's",
            Self::Augment(AugmentPeer::Torchvision) => "augmentation, ours and torchvision's",
            Self::Augment(AugmentPeer::Kornia) => "augmentation, ours and Kornia's",
            Self::Optimizer(_) => "an optimiser, ours and PyTorch's foreach",
            Self::Penalty(Comparison::PyTorch) => "exact penalty step, ours and PyTorch's",
            Self::Penalty(_) => "penalty step and plain step",
            Self::Attack(Kind::Pgd) => "PGD, ours and torchattacks'",
            Self::Attack(Kind::Plb) => "ProxLogBarrier, ours and its reference implementation's",
            Self::Attack(Kind::Fmn) => "FMN, ours and Foolbox's",
            Self::Memory(_) => "peak memory of training, ours and PyTorch's",
            Self::Recompute => "peak memory of training, graphs recomputed and kept",
            Self::Ranks => "two ranks of one thread and one rank of two",
            Self::Submit => "submit to first step",
            Self::Idle => "idle coordinator",
            Self::Access => "being known, and asking from afar",
            Self::Load => "coordinator of a thousand workers",
            Self::Ingest => "points as fast as they are stored",
            Self::Backup => "coordinator of a thousand workers during a backup",
            Self::Queue => "scheduling with a long and a short queue",
            Self::Recovery => "a killed rank, ours and torchrun's",
            Self::Checkpoint => "checkpoints, ours and torch.save's",
            Self::Ask => "questions about a long history",
            Self::Mlflow => "questions, ours and MLflow's",
            Self::Fetch => "a file, ours and curl's",
            Self::Sampling => "training beside looks at a card",
        }
    }

    pub(crate) fn measure(self, settings: &Settings) -> Result<Vec<Row>> {
        match self {
            Self::Step(encoder, mode) => step::measure(settings, encoder, mode),
            Self::Training => training::measure(settings),
            Self::Augment(peer) => augment::measure(settings, peer),
            Self::Optimizer(rule) => optimizer::measure(settings, rule),
            Self::Penalty(comparison) => penalty::measure(settings, comparison),
            Self::Attack(kind) => attack::measure(settings, kind),
            Self::Memory(encoder) => memory::measure(settings, encoder),
            Self::Recompute => memory::recomputed(),
            Self::Ranks => ranks::measure(settings),
            Self::Submit => submit::measure(settings),
            Self::Idle => idle::measure(settings),
            Self::Access => access::measure(settings),
            Self::Load => load::measure(settings),
            Self::Ingest => ingest::measure(settings),
            Self::Backup => load::measure_backup(settings),
            Self::Queue => queue::measure(settings),
            Self::Recovery => recovery::measure(settings),
            Self::Checkpoint => checkpoint::measure(settings),
            Self::Ask => ask::measure(settings),
            Self::Mlflow => mlflow::measure(settings),
            Self::Fetch => fetch::measure(settings),
            Self::Sampling => sampling::measure(settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_named_twice_is_measured_once_and_in_order() {
        assert_eq!(
            parts(&[Choice::Idle, Choice::Augment, Choice::Idle]),
            [Part::Augment(AugmentPeer::Torchvision), Part::Augment(AugmentPeer::Kornia), Part::Idle]
        );
        assert_eq!(parts(&[Choice::All, Choice::Idle]), parts(&[Choice::All]));
        assert_eq!(parts(&[Choice::Attack]), parts(&[Choice::Fmn, Choice::Plb, Choice::Pgd]));
    }
}

//! One training step (forward, NT-Xent, backward, SGD) on views made beforehand, against the same in Python PyTorch: as it
//! is written, and compiled by `torch.compile`.

use anyhow::Result;
use serde_json::json;
use tandem_domain::spec::Encoder;

use crate::child::Child;
use crate::interleave::{Pair, interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{StepReply, StepSetup};

const THREADS: u32 = 2;
/// Steps over which the losses must agree, and how closely.
const PARITY_STEPS: u32 = 20;
const PARITY: f64 = 1e-4;

/// How PyTorch runs the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Eager,
    /// By a newer PyTorch: the compiler of the one that we share libtorch with fails on these nets on some processors.
    Compiled,
}

pub(crate) fn measure(settings: &Settings, encoder: Encoder, mode: Mode) -> Result<Vec<Row>> {
    let (name, title, batch, count, goals) = match encoder {
        Encoder::ResNetTiny => ("step/resnet-tiny", "resnet-tiny, batch 256", 256, 8, [0.97, 1.0]),
        _ => ("step/resnet18", "ResNet-18, batch 64", 64, 2, [1.0, 0.98]),
    };
    let (name, goal, python, compiled) = match mode {
        Mode::Eager => (name.to_owned(), goals[0], &settings.python, ""),
        Mode::Compiled => (format!("{name}-compiled"), goals[1], &settings.compiled_python, ", compiled"),
    };
    let folder = tempfile::tempdir()?;
    let setup = StepSetup::new(encoder, batch, THREADS, PARITY_STEPS, folder.path());
    let mut setup = StepSetup { compiled: mode == Mode::Compiled, ..setup };
    if encoder != Encoder::ResNetTiny {
        // Rounding errors grow faster in ResNet-18: at 3e-4 PyTorch's own two memory formats are 1e-3 apart after six
        // steps. At this rate the losses still change a hundred times as much as they differ.
        setup.recipe.learning_rate = 3e-6;
    }
    machine::on_cores(THREADS, || {
        let mut ours = Child::ours("step", THREADS)?;
        let our: StepReply = ours.ask(&setup)?;
        // After our side, which writes the weights and views that this one reads.
        let mut theirs = Child::peer(python, "step", THREADS)?;
        let their: StepReply = theirs.ask(&setup)?;

        let difference = largest_difference(&our.losses, &their.losses)?;
        let pairs = interleave(settings.pairs, || ours.block(count), || theirs.block(count))?;
        let rate = |seconds: fn(&Pair) -> f64| median(&pairs, |pair| (count * u64::from(batch)) as f64 / seconds(pair));
        Ok(vec![Row {
            name,
            what: format!("SimCLR step of {title}, {THREADS} threads, against PyTorch {}{compiled}", their.version),
            goal: Goal::AtLeast(goal),
            unit: Unit::Times,
            value: speeds(&pairs)?,
            void: (difference.is_nan() || difference > PARITY)
                .then(|| format!("losses differ by {difference:.1e} in {PARITY_STEPS} steps: more than {PARITY:.0e}")),
            note: format!(
                "{:.0} against {:.0} images/s; losses of {PARITY_STEPS} steps within {difference:.1e}; PyTorch's faster format: {}",
                rate(|pair| pair.ours),
                rate(|pair| pair.theirs),
                their.layout,
            ),
            raw: json!({ "steps_a_block": count, "pairs": pairs, "losses": { "ours": our.losses, "theirs": their.losses } }),
        }])
    })
}

/// The largest difference of two losses of the same step; NaN if any is not a number.
pub(super) fn largest_difference(ours: &[f64], theirs: &[f64]) -> Result<f64> {
    anyhow::ensure!(ours.len() == theirs.len(), "{} losses on our side, {} on theirs", ours.len(), theirs.len());
    let mut differences: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).collect();
    // Not-a-number sorts last.
    differences.sort_by(f64::total_cmp);
    Ok(differences.last().copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_is_not_a_number_is_never_equal() {
        assert_eq!(largest_difference(&[1.0, 2.0], &[1.5, 2.25]).unwrap(), 0.5);
        assert!(largest_difference(&[f64::NAN, 1.0], &[1.0, 1.0]).unwrap().is_nan());
        assert!(largest_difference(&[1.0], &[]).is_err());
    }
}

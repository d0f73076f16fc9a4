//! Training with augmentation, against the usual script for it in PyTorch: a DataLoader with torchvision's transforms on
//! PIL images, the default memory format, torch.optim.SGD and the default allocator.

use anyhow::Result;
use serde_json::json;
use tandem_domain::spec::Encoder;

use crate::child::Child;
use crate::interleave::{Pair, interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{StepSetup, TrainingReply};

const THREADS: u32 = 2;
const BATCH: u32 = 64;
/// Steps in a block.
const STEPS: u64 = 3;
/// Each side draws its own views, so no two losses can be equal. Compared are the mean loss and the moments of the views
/// over the first steps, from equal weights and at a learning rate that hardly changes them.
const PARITY_STEPS: u32 = 10;
/// How many standard errors of their difference, estimated from the steps, the means may lie apart.
const STANDARD_ERRORS: f64 = 4.0;

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let setup = StepSetup::new(Encoder::ResNet18, BATCH, THREADS, PARITY_STEPS, folder.path());
    machine::on_cores(THREADS, || {
        let mut ours = Child::ours("training", THREADS)?;
        let our: TrainingReply = ours.ask(&setup)?;
        // After our side, which writes the weights and images that this one reads.
        let mut theirs = Child::usual_peer(&settings.python, "training", THREADS)?;
        let their: TrainingReply = theirs.ask(&setup)?;

        let [losses, means, variances] =
            [(&our.losses, &their.losses), (&our.means, &their.means), (&our.variances, &their.variances)]
                .map(|(ours, theirs)| apart(ours, theirs));
        let equal = [losses, means, variances].iter().all(|&distance| distance <= STANDARD_ERRORS);
        let pairs = interleave(settings.pairs, || ours.block(STEPS), || theirs.block(STEPS))?;
        let rate = |seconds: fn(&Pair) -> f64| median(&pairs, |pair| (STEPS * u64::from(BATCH)) as f64 / seconds(pair));
        let parity = format!(
            "over {PARITY_STEPS} steps the losses lie {losses:.1} standard errors apart, mean and variance of the views \
             {means:.1} and {variances:.1}"
        );
        Ok(vec![Row {
            name: "training".into(),
            what: format!(
                "ResNet-18 training, batch {BATCH}, {THREADS} cores, augmentation included, against the usual script of \
                 PyTorch {}",
                their.version
            ),
            goal: Goal::AtLeast(1.15),
            unit: Unit::Times,
            value: speeds(&pairs)?,
            void: (!equal).then(|| format!("{parity}: more than {STANDARD_ERRORS}")),
            note: format!("{:.0} against {:.0} images/s; {parity}", rate(|pair| pair.ours), rate(|pair| pair.theirs)),
            raw: json!({ "steps_a_block": STEPS, "pairs": pairs, "ours": our, "theirs": their }),
        }])
    })
}

/// How far the means of two series lie apart, in standard errors of their difference.
fn apart(ours: &[f64], theirs: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let squared_error = |values: &[f64]| {
        let (mean, count) = (mean(values), values.len() as f64);
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0) / count
    };
    (mean(ours) - mean(theirs)).abs() / (squared_error(ours) + squared_error(theirs)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_in_standard_errors() {
        // Variances 14/3 and 2/3 of single values: 14/12 and 2/12 of the means 3 and 7.
        let distance = apart(&[1.0, 2.0, 3.0, 6.0], &[6.0, 7.0, 8.0, 7.0]);
        assert!((distance - 4.0 / (16.0f64 / 12.0).sqrt()).abs() < 1e-12, "{distance}");
        assert!(apart(&[f64::NAN, 1.0], &[1.0, 2.0]).is_nan(), "NaN is never near");
    }
}

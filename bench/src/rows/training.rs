//! Training as a whole, augmentation included, against the script that is usually written for it in PyTorch: a DataLoader
//! with torchvision's transforms on PIL images, the default memory format, torch.optim.SGD as it comes.

use anyhow::Result;
use serde_json::json;
use tandem_domain::spec::Encoder;

use super::Run;
use crate::child::Child;
use crate::interleave::{Pair, interleave, middle, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::side::{StepSetup, TrainingReply};

const THREADS: u32 = 2;
const BATCH: u32 = 64;
/// Steps in a block: some three seconds on two cores of a server of 2023.
const STEPS: u64 = 3;
/// Each side draws its own views, so no two losses can be equal. Compared are, over the first steps from equal weights
/// at a rate that hardly moves them, the mean loss and the moments of the views.
const PARITY_STEPS: u32 = 10;
/// Four times what chance does to a mean of that many losses.
const LOSS_TOLERANCE: f64 = 0.05;
const MOMENT_TOLERANCE: f64 = 0.01;

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let setup = StepSetup::new(Encoder::ResNet18, BATCH, THREADS, PARITY_STEPS, folder.path());
    machine::on_cores(THREADS, || {
        let mut ours = Child::ours("training", THREADS)?;
        let our: TrainingReply = ours.ask(&setup)?;
        // After ours: it reads the weights and images that ours has written.
        let mut theirs = Child::peer(&run.python, "training", THREADS)?;
        let their: TrainingReply = theirs.ask(&setup)?;

        let losses = (our.mean_loss() - their.mean_loss()).abs();
        let moments = (our.mean - their.mean).abs().max((our.variance - their.variance).abs());
        let equal = losses <= LOSS_TOLERANCE && moments <= MOMENT_TOLERANCE;
        let pairs = interleave(run.pairs, || ours.block(STEPS), || theirs.block(STEPS))?;
        let rate = |seconds: fn(&Pair) -> f64| middle(&pairs, |pair| (STEPS * u64::from(BATCH)) as f64 / seconds(pair));
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
            void: (!equal).then(|| {
                format!(
                    "over {PARITY_STEPS} steps the mean losses lie {losses:.3} apart (at most {LOSS_TOLERANCE}), the \
                     moments of the views {moments:.4} (at most {MOMENT_TOLERANCE})"
                )
            }),
            note: format!(
                "{:.0} against {:.0} images/s; mean loss of {PARITY_STEPS} steps within {losses:.3}, mean and variance of \
                 their views within {moments:.4}",
                rate(|pair| pair.ours),
                rate(|pair| pair.theirs),
            ),
            raw: json!({ "steps_a_block": STEPS, "pairs": pairs, "ours": our, "theirs": their }),
        }])
    })
}

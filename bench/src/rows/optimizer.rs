//! The optimiser's part of a step on the parameters of a ResNet-50, against PyTorch's foreach operations.

use anyhow::Result;
use serde_json::{Value, json};
use tandem_domain::spec::OptimizerName;

use crate::child::Child;
use crate::interleave::{interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{OptimizerReply, OptimizerSetup};

const THREADS: u32 = 2;
/// Updates in a block.
const STEPS: u64 = 30;
/// Updates after which the parameters must agree, and how closely. Every tensor must have moved a thousand times as far
/// by then, or the check would say nothing.
const PARITY_STEPS: u32 = 5;
const PARITY: f64 = 1e-6;
const MOVED: f64 = 1e3 * PARITY;

pub(crate) fn measure(settings: &Settings, rule: OptimizerName) -> Result<Vec<Row>> {
    // LARS moves a layer by a share of the layer's norm, its trust times the rate: 10 is enough for a comparison.
    let (name, title, against, learning_rate) = match rule {
        OptimizerName::Lars => ("optimizer/lars", "LARS", "torch._foreach operations", 10.0),
        _ => ("optimizer/sgd", "SGD with momentum and decay", "torch.optim.SGD (foreach)", 0.1),
    };
    let folder = tempfile::tempdir()?;
    let setup = OptimizerSetup {
        rule,
        learning_rate,
        momentum: 0.9,
        weight_decay: 5e-4,
        trust: 1e-3,
        threads: THREADS,
        steps: PARITY_STEPS,
        folder: folder.path().to_owned(),
    };
    machine::on_cores(THREADS, || {
        let mut ours = Child::ours("optimizer", THREADS)?;
        let _: Value = ours.ask(&setup)?;
        // After our side, which writes the parameters that this one reads.
        let mut theirs = Child::peer(&settings.python, "optimizer", THREADS)?;
        let their: OptimizerReply = theirs.ask(&setup)?;

        let equal = their.difference <= PARITY && their.moved >= MOVED;
        let pairs = interleave(settings.pairs, || ours.block(STEPS), || theirs.block(STEPS))?;
        Ok(vec![Row {
            name: name.into(),
            what: format!("{title} on ResNet-50's parameters, {THREADS} threads, against {against} {}", their.version),
            goal: Goal::AtLeast(1.0),
            unit: Unit::Times,
            value: speeds(&pairs)?,
            void: (!equal).then(|| {
                format!(
                    "after {PARITY_STEPS} updates the parameters differ by {:.1e} (at most {PARITY:.0e}), and each tensor \
                     has moved by {:.1e} or more (at least {MOVED:.0e})",
                    their.difference, their.moved
                )
            }),
            note: format!(
                "{:.1} against {:.1} ms; parameters after {PARITY_STEPS} updates within {:.1e}",
                median(&pairs, |pair| pair.ours * 1e3 / STEPS as f64),
                median(&pairs, |pair| pair.theirs * 1e3 / STEPS as f64),
                their.difference
            ),
            raw: json!({ "steps_a_block": STEPS, "pairs": pairs, "parity": their }),
        }])
    })
}

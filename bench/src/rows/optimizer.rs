//! The optimiser's part of a step, on the parameters of a ResNet-50, against PyTorch's foreach operations.

use anyhow::Result;
use serde_json::{Value, json};
use tandem_domain::spec::OptimizerName;

use super::Run;
use crate::child::Child;
use crate::interleave::{interleave, middle, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::side::{OptimizerReply, OptimizerSetup};

const THREADS: u32 = 2;
/// Updates in a block: some two seconds on two cores of a server of 2023.
const STEPS: u64 = 30;
/// Updates after which the parameters must agree, and how closely. Every tensor has moved a thousand times as far by
/// then, or the check says nothing.
const PARITY_STEPS: u32 = 5;
const PARITY: f64 = 1e-6;
const MOVED: f64 = 1e3 * PARITY;

pub(crate) fn measure(run: &Run, rule: OptimizerName) -> Result<Vec<Row>> {
    // LARS moves a layer by its trust's share of the layer's own size: at a rate of 10 far enough to be compared.
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
        // After ours: it reads the parameters before and after.
        let mut theirs = Child::peer(&run.python, "optimizer", THREADS)?;
        let their: OptimizerReply = theirs.ask(&setup)?;

        let equal = their.difference <= PARITY && their.moved >= MOVED;
        let pairs = interleave(run.pairs, || ours.block(STEPS), || theirs.block(STEPS))?;
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
                middle(&pairs, |pair| pair.ours * 1e3 / STEPS as f64),
                middle(&pairs, |pair| pair.theirs * 1e3 / STEPS as f64),
                their.difference
            ),
            raw: json!({ "steps_a_block": STEPS, "pairs": pairs, "parity": their }),
        }])
    })
}

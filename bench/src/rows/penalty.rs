//! What the input-gradient penalty of eq. (3) costs: our step with it against our plain step, and our double backward
//! pass against PyTorch's.

use anyhow::Result;
use serde_json::json;
use tandem_domain::spec::{Encoder, PenaltyMethod, Tikhonov};

use super::step::largest_difference;
use crate::child::Child;
use crate::interleave::{costs, interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{StepReply, StepSetup};

const THREADS: u32 = 2;
const BATCH: u32 = 64;
/// Steps in a block.
const STEPS: u64 = 1;
/// Steps over which losses and penalties must agree, and how closely: the losses absolutely, the penalties as a share.
const PARITY_STEPS: u32 = 3;
const PARITY: f64 = 1e-4;
const PENALTY_PARITY: f64 = 1e-3;
/// The penalty is then about a tenth of the loss, enough to change the weights of the next step. At 100 rounding errors
/// grow a hundredfold a step.
const LAMBDA: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// A step with the penalty as a finite difference, against a plain step of ours.
    FiniteDifference,
    /// With the penalty by a double backward pass, against a plain step of ours.
    Exact,
    /// The double backward pass, against PyTorch's.
    PyTorch,
}

pub(crate) fn measure(settings: &Settings, comparison: Comparison) -> Result<Vec<Row>> {
    let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let method = match comparison {
        Comparison::FiniteDifference => PenaltyMethod::FiniteDifference,
        Comparison::Exact | Comparison::PyTorch => PenaltyMethod::Exact,
    };
    let mut setup = StepSetup::new(Encoder::ResNet18, BATCH, THREADS, PARITY_STEPS, folder.path());
    if comparison == Comparison::PyTorch {
        // As small as in `step`, for the same reason: rounding errors grow even faster with a penalty.
        setup.recipe.learning_rate = 3e-6;
    }
    setup.recipe.tikhonov = Tikhonov { lambda: LAMBDA, method, ..Tikhonov::default() };
    machine::on_cores(THREADS, || {
        let mut ours = Child::ours("step", THREADS)?;
        let our: StepReply = ours.ask(&setup)?;
        let mut theirs = match comparison {
            // After our side, which writes the weights and views that this one reads.
            Comparison::PyTorch => Child::peer(&settings.python, "step", THREADS)?,
            _ => {
                setup.recipe.tikhonov = Tikhonov::default();
                setup.folder = other.path().to_owned();
                Child::ours("step", THREADS)?
            }
        };
        let their: StepReply = theirs.ask(&setup)?;
        let pairs = interleave(settings.pairs, || ours.block(STEPS), || theirs.block(STEPS))?;
        let milliseconds = format!(
            "{:.0} against {:.0} ms a step",
            median(&pairs, |pair| pair.ours * 1e3 / STEPS as f64),
            median(&pairs, |pair| pair.theirs * 1e3 / STEPS as f64)
        );
        let raw = json!({ "steps_a_block": STEPS, "pairs": pairs, "ours": our, "theirs": their });
        let step = format!("of ResNet-18, batch {BATCH}, {THREADS} threads");
        Ok(vec![match comparison {
            Comparison::PyTorch => {
                let losses = largest_difference(&our.losses, &their.losses)?;
                let shares: Vec<f64> = our.penalties.iter().zip(&their.penalties).map(|(a, b)| a / b).collect();
                let penalties = largest_difference(&shares, &vec![1.0; their.penalties.len()])?;
                Row {
                    name: "penalty/pytorch".into(),
                    what: format!("Exact penalty step {step}, against PyTorch {}'s double backward", their.version),
                    goal: Goal::AtLeast(1.05),
                    unit: Unit::Times,
                    value: speeds(&pairs)?,
                    void: (!(losses <= PARITY && penalties <= PENALTY_PARITY)).then(|| {
                        format!(
                            "over {PARITY_STEPS} steps losses differ by {losses:.1e} (at most {PARITY:.0e}), penalties by \
                             a share of {penalties:.1e} (at most {PENALTY_PARITY:.0e})"
                        )
                    }),
                    note: format!(
                        "{milliseconds}; over {PARITY_STEPS} steps losses within {losses:.1e}, penalties within a share of \
                         {penalties:.1e}; PyTorch's faster format: {}",
                        their.layout
                    ),
                    raw,
                }
            }
            Comparison::FiniteDifference | Comparison::Exact => {
                let (name, title, goal) = match method {
                    PenaltyMethod::FiniteDifference => ("penalty/finite-difference", "Finite-difference penalty", 2.1),
                    PenaltyMethod::Exact => ("penalty/exact", "Exact penalty", 3.3),
                };
                // Weights are equal at first, so the first losses are; then the penalty changes the weights.
                let first = largest_difference(&our.losses[..1], &their.losses[..1])?;
                let moves = largest_difference(&our.losses[1..], &their.losses[1..])?;
                Row {
                    name: name.into(),
                    what: format!("{title}: a step {step}, as a multiple of the plain step"),
                    goal: Goal::AtMost(goal),
                    unit: Unit::Times,
                    value: costs(&pairs)?,
                    void: (!(first <= PARITY && moves > 0.0 && our.penalties.iter().all(|&penalty| penalty > 0.0))).then(
                        || {
                            format!(
                                "the first losses differ by {first:.1e} (at most {PARITY:.0e}), later ones by {moves:.1e} (not \
                                 0); penalties are {:?}",
                                our.penalties
                            )
                        },
                    ),
                    note: format!(
                        "{milliseconds}; first losses within {first:.1e}; the penalty is {:.3} beside a loss of {:.3}",
                        our.penalties[0], our.losses[0]
                    ),
                    raw,
                }
            }
        }])
    })
}

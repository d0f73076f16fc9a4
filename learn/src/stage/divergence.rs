//! Whether training may go on after a step.

use tch::Kind;

use crate::failure::Failure;
use crate::shards::Step;

/// A loss so many times that of a guess has exploded. That of a net that is confident and wrong stays far below.
const EXPLODED: f64 = 1e3;

/// The check, with what is the same for all steps of a run.
pub(super) struct DivergenceCheck {
    /// Loss of a guess: ln of the number of classes to choose from.
    pub(super) chance_loss: f64,
    /// Keys of the experiment file to change, the likeliest remedy first.
    pub(super) remedies: &'static str,
    /// What may be at fault in the very first step, before any update.
    pub(super) at_once: &'static str,
    /// The key that weighs the penalty, if there is one.
    pub(super) penalty: Option<&'static str>,
}

impl DivergenceCheck {
    /// Fails before an update that would ruin the weights. `number` counts steps from 1.
    pub(super) fn check(&self, step: &Step, number: u64, lr: f64) -> Result<(), Failure> {
        let finite = step.loss.is_finite() && step.penalty.is_finite();
        let what = if !finite || !step.gradient.sum(Kind::Float).double_value(&[]).is_finite() {
            "the loss or its gradient is not finite"
        } else if step.losses.iter().any(|loss| *loss > EXPLODED * self.chance_loss) {
            "the loss has exploded, to a thousand times that of a guess,"
        } else {
            return Ok(());
        };
        let penalty =
            self.penalty.map(|key| format!("; or the penalty is too strong: lower {key}")).unwrap_or_default();
        let why = match number {
            // The weights are those that the training began with: its learning rate has done nothing yet.
            1 => format!("no update was made yet, so it is not the learning rate: {}{penalty}", self.at_once),
            _ => format!(
                "most often the learning rate is too high; {}{penalty}. The checkpoints before it are kept",
                self.remedies
            ),
        };
        Err(Failure::Job(format!(
            "{what} at step {number} (loss {}, penalty {}, learning rate {lr:.3e}): {why}",
            step.loss, step.penalty
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Tensor};

    fn step(loss: f64, penalty: f64, gradient: f64) -> Step {
        let vector = Tensor::full([4], gradient, (Kind::Float, Device::Cpu));
        Step {
            loss,
            losses: vec![loss],
            penalty,
            outputs: Vec::new(),
            statistics: vector.zeros_like(),
            gradient: vector,
            stop: false,
        }
    }

    #[test]
    fn a_step_that_diverges_is_refused_with_its_likely_cause() {
        let divergence = DivergenceCheck {
            chance_loss: 2.3,
            remedies: "lower optimizer.lr",
            at_once: "raise temperature",
            penalty: Some("tikhonov.lambda"),
        };
        let refused = |step: Step| match divergence.check(&step, 7, 0.1) {
            Err(Failure::Job(message)) => message,
            other => panic!("{other:?}"),
        };
        for (loss, penalty, gradient) in [(f64::NAN, 0.0, 0.0), (1.0, f64::INFINITY, 0.0), (1.0, 0.0, f64::NAN)] {
            let message = refused(step(loss, penalty, gradient));
            assert!(message.starts_with("the loss or its gradient is not finite at step 7"), "{message}");
            assert!(message.contains("lower optimizer.lr; or the penalty is too strong: lower tikhonov.lambda"));
        }
        assert!(
            refused(step(23_000.0, 0.0, 1.0))
                .starts_with("the loss has exploded, to a thousand times that of a guess, at step 7")
        );
        divergence.check(&step(50.0, 0.0, 1.0), 7, 0.1).unwrap();
        let Err(Failure::Job(first)) = divergence.check(&step(f64::NAN, 0.0, 0.0), 1, 0.1) else { panic!("accepted") };
        assert!(
            first.ends_with(
                "no update was made yet, so it is not the learning rate: raise temperature; or the penalty is too strong: \
                 lower tikhonov.lambda"
            ),
            "{first}"
        );
    }
}

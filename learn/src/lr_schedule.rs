//! The learning rate of each step.

use tandem_domain::spec::{Optimizer, Schedule};

/// Linear warm-up, then constant, half a cosine, or steps down at milestones; in steps of training.
#[derive(Clone, Debug, PartialEq)]
pub struct LrSchedule {
    peak: f64,
    warmup_steps: u64,
    steps: u64,
    schedule: Schedule,
    /// Steps at which the rate is multiplied by `factor`.
    milestones: Vec<u64>,
    factor: f64,
}

impl LrSchedule {
    /// A warm-up of fractional epochs is rounded to whole steps, and cut at the end of training.
    pub fn new(optimizer: &Optimizer, steps_per_epoch: u64, steps: u64) -> Self {
        let warmup = (optimizer.warmup_epochs * steps_per_epoch as f64).round() as u64;
        Self {
            peak: optimizer.lr,
            warmup_steps: warmup.min(steps),
            steps,
            schedule: optimizer.schedule,
            milestones: optimizer.milestones.iter().map(|share| (share * steps as f64).round() as u64).collect(),
            factor: optimizer.factor,
        }
    }

    /// What to say if the training ends before its warm-up has. The experiment file says so only where it knows the number
    /// of steps.
    pub fn note(&self) -> Option<String> {
        (self.warmup_steps > 0 && self.warmup_steps == self.steps).then(|| {
            format!(
                "the warm-up fills all {} steps of the training: the learning rate only rises; lower \
                 optimizer.warmup_epochs",
                self.steps
            )
        })
    }

    /// The rate of update number `step`, counted from 0. The warm-up's last update has the peak rate. The cosine
    /// reaches 0 only after the last update.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        match self.schedule {
            Schedule::Constant => self.peak,
            Schedule::Step => {
                let passed = self.milestones.iter().filter(|&&milestone| step >= milestone).count();
                self.peak * self.factor.powi(passed as i32)
            }
            Schedule::Cosine => {
                let done = (step - self.warmup_steps) as f64 / (self.steps - self.warmup_steps).max(1) as f64;
                self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(warmup_epochs: f64, schedule: Schedule) -> LrSchedule {
        LrSchedule::new(&Optimizer { lr: 2.0, warmup_epochs, schedule, ..Optimizer::default() }, 10, 100)
    }

    #[test]
    fn warms_up_linearly_in_steps_of_fractional_epochs() {
        let lr = rate(0.5, Schedule::Constant);
        let first: Vec<f64> = (0..6).map(|step| lr.at(step)).collect();
        assert_eq!(first, [0.4, 0.8, 1.2, 1.6, 2.0, 2.0]);
        assert_eq!(lr.at(99), 2.0);
    }

    #[test]
    fn cosine_runs_from_the_peak_to_zero() {
        let lr = rate(2.0, Schedule::Cosine);
        assert_eq!(lr.at(19), 2.0);
        assert_eq!(lr.at(20), 2.0);
        assert!((lr.at(60) - 1.0).abs() < 1e-12, "half way through the 80 steps after the warm-up");
        assert!(lr.at(99) > 0.0 && lr.at(99) < 1e-3);
        assert!(lr.at(100) < 1e-12);
    }

    #[test]
    fn milestones_are_shares_of_the_training() {
        let written = Optimizer { milestones: vec![0.3, 0.6, 0.8], factor: 0.5, ..Optimizer::default() };
        let optimizer = Optimizer { lr: 2.0, warmup_epochs: 0.0, schedule: Schedule::Step, ..written };
        let lr = LrSchedule::new(&optimizer, 10, 100);
        assert_eq!([0, 29, 30, 59, 60, 79, 80, 99].map(|step| lr.at(step)), [2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn a_warm_up_longer_than_the_training_is_cut_and_noted() {
        let lr = rate(1000.0, Schedule::Cosine);
        assert_eq!(lr.at(99), 2.0);
        assert!(lr.at(100).is_finite());
        assert!(lr.note().is_some_and(|note| note.contains("all 100 steps")));
        assert_eq!([0.0, 9.9].map(|warmup| rate(warmup, Schedule::Cosine).note()), [None, None]);
    }
}

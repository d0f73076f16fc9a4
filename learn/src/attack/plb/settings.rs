//! The settings of ProxLogBarrier.

use tandem_domain::spec;

/// The rule for the length of a step, and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// dt, mu and alpha of [`spec::Plb`]; begins at noise that grows by one per cent.
    Published,
    /// As the paper ran it: like `Published`, but every image takes all steps, and there is no bisection at the end.
    Paper,
    /// Shares of the iterate's distance; begins with a few Newton steps towards the boundary. See `step::relative`.
    Relative,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub constants: spec::Plb,
    pub steps: Steps,
    /// Standard deviation of the first noise that is tried as a start: 0.01 as published, 0.1 in the paper's code.
    pub noise: f64,
    pub seed: u64,
    pub restart: u32,
}

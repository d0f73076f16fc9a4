//! What a run of ProxLogBarrier can be told.

use tandem_domain::spec;

/// How long a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// dt, mu and alpha as they stand in [`spec::Plb`], from noise.
    Published,
    /// As `Published`, and nothing else of ours: noise that grows by one per cent, every image through all steps, no
    /// bisection at the end. The paper ran it so.
    Paper,
    /// Shares of the iterate's distance, from a few Newton steps towards the boundary; see `step::relative`.
    Relative,
}

/// What a run needs beside the images.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub constants: spec::Plb,
    pub steps: Steps,
    /// Standard deviation of the first noise that is tried as a start: 0.01 as published, 0.1 in the paper's code.
    pub noise: f64,
    pub seed: u64,
    pub restart: u32,
}

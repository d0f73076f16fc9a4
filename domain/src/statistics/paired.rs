//! Two classifiers on the same images: the exact test of McNemar (1947).

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

/// On how many images two verdicts agree, and whether what they disagree on favours one of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    pub both: u64,
    /// b: right by the first alone.
    pub only_first: u64,
    /// c: right by the second alone.
    pub only_second: u64,
    pub neither: u64,
    /// Two-sided: how likely is a split of b + c images that is at least as uneven, if each falls to either side as likely.
    pub p: f64,
}

impl Paired {
    pub fn images(&self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }
}

/// Of the verdicts (first, second) on each image.
pub fn paired(verdicts: impl IntoIterator<Item = (bool, bool)>) -> Paired {
    let mut counts = [0; 4];
    for (first, second) in verdicts {
        counts[usize::from(!first) * 2 + usize::from(!second)] += 1;
    }
    let [both, only_first, only_second, neither] = counts;
    Paired { both, only_first, only_second, neither, p: split(only_first, only_second) }
}

fn split(b: u64, c: u64) -> f64 {
    let fewer = b.min(c);
    // Nothing is more even: twice the half would count the middle twice.
    if b == c {
        return 1.0;
    }
    Binomial::new(0.5, b + c).map_or(1.0, |binomial| (2.0 * binomial.cdf(fewer)).min(1.0))
}

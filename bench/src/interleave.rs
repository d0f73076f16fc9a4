//! Two sides measured in turn, so that other load on the machine slows both alike.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::stats::Summary;

/// Seconds that the two sides took for the same work, one directly after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Pair {
    pub(crate) ours: f64,
    pub(crate) theirs: f64,
}

impl Pair {
    /// Our speed as a multiple of theirs.
    pub(crate) fn speed(self) -> f64 {
        self.theirs / self.ours
    }
}

/// `count` pairs in the order A B, B A, A B, ..., so that a steady drift of the machine's speed cancels out.
pub(crate) fn interleave(
    count: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut theirs: impl FnMut() -> Result<f64>,
) -> Result<Vec<Pair>> {
    (0..count)
        .map(|i| {
            if i % 2 == 0 {
                let ours = ours()?;
                Ok(Pair { ours, theirs: theirs()? })
            } else {
                let theirs = theirs()?;
                Ok(Pair { ours: ours()?, theirs })
            }
        })
        .collect()
}

/// Our speeds as multiples of theirs, pair by pair.
pub(crate) fn speeds(pairs: &[Pair]) -> Result<Summary> {
    let speeds: Vec<f64> = pairs.iter().map(|pair| pair.speed()).collect();
    Summary::of(&speeds).context("no pair was measured")
}

/// Our times as multiples of theirs, pair by pair.
pub(crate) fn costs(pairs: &[Pair]) -> Result<Summary> {
    let costs: Vec<f64> = pairs.iter().map(|pair| pair.ours / pair.theirs).collect();
    Summary::of(&costs).context("no pair was measured")
}

/// The median of `figure` over the pairs; NaN without pairs.
pub(crate) fn median(pairs: &[Pair], figure: impl Fn(&Pair) -> f64) -> f64 {
    let figures: Vec<f64> = pairs.iter().map(figure).collect();
    Summary::of(&figures).map_or(f64::NAN, |figures| figures.median)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_order_alternates() {
        let order = RefCell::new(String::new());
        let side = |name, seconds| {
            order.borrow_mut().push(name);
            Ok(seconds)
        };
        let pairs = interleave(3, || side('a', 1.0), || side('b', 2.0)).unwrap();
        assert_eq!(order.into_inner(), "abbaab");
        assert_eq!(pairs, vec![Pair { ours: 1.0, theirs: 2.0 }; 3]);
        assert_eq!(pairs[0].speed(), 2.0);
        assert_eq!((speeds(&pairs).unwrap().median, costs(&pairs).unwrap().median), (2.0, 0.5));
        assert_eq!(median(&pairs, |pair| pair.theirs), 2.0);
    }
}

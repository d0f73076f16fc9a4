//! Which source pixels an enlarged axis reads: bilinear with half-pixel centres, clamped at the edge of the *crop*.
//!
//! A crop is never larger than 32x32, so that resizing only enlarges, where torchvision's antialiasing is the identity.
//! Reading beyond the crop's edge, as `grid_sample` on the whole image would, is wrong at its border.

use crate::data::SIDE;

/// For each of the 32 outputs: two source positions and the weight of the second.
pub(super) struct Axis {
    pub(super) low: [u8; SIDE],
    pub(super) high: [u8; SIDE],
    pub(super) weight: [f32; SIDE],
}

impl Axis {
    /// Outputs read from `start..start + length`; mirrored if `flip`.
    pub(super) fn new(start: usize, length: usize, flip: bool) -> Self {
        let mut axis = Self { low: [0; SIDE], high: [0; SIDE], weight: [0.0; SIDE] };
        let scale = length as f32 / SIDE as f32;
        for out in 0..SIDE {
            let centre = if flip { SIDE - 1 - out } else { out } as f32 + 0.5;
            let source = (centre * scale - 0.5).max(0.0);
            let low = source as usize;
            axis.low[out] = (start + low) as u8;
            axis.high[out] = (start + (low + 1).min(length - 1)) as u8;
            axis.weight[out] = source - low as f32;
        }
        axis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_axis_reads_each_pixel_itself() {
        let axis = Axis::new(0, SIDE, false);
        assert!((0..SIDE).all(|out| usize::from(axis.low[out]) == out && axis.weight[out] == 0.0));
    }

    #[test]
    fn a_crop_never_reads_beyond_its_edges() {
        for length in 1..=SIDE {
            for start in 0..=SIDE - length {
                let axis = Axis::new(start, length, false);
                let inside = start..start + length;
                for out in 0..SIDE {
                    assert!(
                        inside.contains(&usize::from(axis.low[out])) && inside.contains(&usize::from(axis.high[out]))
                    );
                    assert!((0.0..1.0).contains(&axis.weight[out]));
                }
            }
        }
    }

    #[test]
    fn a_flip_reads_the_same_places_backwards() {
        let (plain, flipped) = (Axis::new(5, 11, false), Axis::new(5, 11, true));
        assert!((0..SIDE).all(|out| plain.low[out] == flipped.low[SIDE - 1 - out]));
    }
}

//! Colour operations on one image of three planes, with torchvision's semantics, clamped to [0, 1] after each.
//!
//! The loops run over arrays of fixed length without branches, so that the compiler vectorises them. Sums are taken in
//! fixed lanes, so that any vector width gives the same bits.

use tandem_domain::spec::GrayWeights;

use super::view::Jitter;
use crate::data::PLANE;

/// torchvision's weights for a float image (their sum is 0.9999).
pub(super) const GRAY: [f32; 3] = [0.2989, 0.587, 0.114];

/// The share of red, green and blue in the gray that replaces an image's colours.
pub(super) fn shares(weights: GrayWeights) -> [f32; 3] {
    match weights {
        GrayWeights::Luma => GRAY,
        GrayWeights::Mean => [1.0 / 3.0; 3],
    }
}

/// One image as floats in [0, 1].
pub(super) struct Planes(pub(super) [[f32; PLANE]; 3]);

impl Planes {
    pub(super) fn jitter(&mut self, jitter: Jitter) {
        match jitter {
            Jitter::Brightness(factor) => self.blend_with(factor, 0.0),
            Jitter::Contrast(factor) => {
                let mean = self.mean_gray();
                self.blend_with(factor, mean);
            }
            Jitter::Saturation(factor) => self.saturate(factor),
            Jitter::Hue(turn) => self.turn_hue(turn),
        }
    }

    /// factor * image + (1 - factor) * other.
    fn blend_with(&mut self, factor: f32, other: f32) {
        let rest = (1.0 - factor) * other;
        for plane in &mut self.0 {
            for value in plane {
                *value = unit(factor * *value + rest);
            }
        }
    }

    fn saturate(&mut self, factor: f32) {
        let [red, green, blue] = &mut self.0;
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let rest = (1.0 - factor) * gray(GRAY, *r, *g, *b);
            *r = unit(factor * *r + rest);
            *g = unit(factor * *g + rest);
            *b = unit(factor * *b + rest);
        }
    }

    pub(super) fn desaturate(&mut self, shares: [f32; 3]) {
        let [red, green, blue] = &mut self.0;
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let gray = gray(shares, *r, *g, *b);
            (*r, *g, *b) = (gray, gray, gray);
        }
    }

    fn mean_gray(&self) -> f32 {
        const LANES: usize = 16;
        let [red, green, blue] = &self.0;
        let mut sums = [0.0f32; LANES];
        for at in (0..PLANE).step_by(LANES) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += gray(GRAY, red[at + lane], green[at + lane], blue[at + lane]);
            }
        }
        sums.iter().sum::<f32>() / PLANE as f32
    }

    /// RGB to HSV, add to the hue, and back, all in registers: value and chroma do not change, so that only the
    /// position on the hexagon is computed, in sextants.
    fn turn_hue(&mut self, turn: f32) {
        let sextants = 6.0 * turn;
        let [red, green, blue] = &mut self.0;
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let high = larger(larger(*r, *g), *b);
            let low = smaller(smaller(*r, *g), *b);
            let chroma = high - low;
            let (base, difference) = if high == *r { (0.0, *g - *b) } else { (2.0, *b - *r) };
            let (base, difference) = if (high == *r) | (high == *g) { (base, difference) } else { (4.0, *r - *g) };
            let hue = base + sextants + difference / if chroma == 0.0 { 1.0 } else { chroma };
            // It was -1 to 5, and was turned by up to 3 either way.
            let hue = if hue < 0.0 { hue + 6.0 } else { hue };
            let hue = if hue >= 6.0 { hue - 6.0 } else { hue };
            *r = low + chroma * unit((hue - 3.0).abs() - 1.0);
            *g = low + chroma * unit(2.0 - (hue - 2.0).abs());
            *b = low + chroma * unit(2.0 - (hue - 4.0).abs());
        }
    }
}

#[inline(always)]
fn gray(shares: [f32; 3], r: f32, g: f32, b: f32) -> f32 {
    shares[0] * r + shares[1] * g + shares[2] * b
}

// `f32::max` and `f32::min` handle NaN, which costs three more instructions; pixels are never NaN.

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
fn unit(value: f32) -> f32 {
    smaller(larger(value, 0.0), 1.0)
}

//! What is done to one sample to make one view of it, drawn by the laws of torchvision 0.22.

use tandem_domain::spec::Augment;

use crate::{
    data::SIDE,
    random::{Purpose, Stream},
};

/// One view, as numbers. `Default` leaves the image as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    pub crop: Crop,
    /// Mirror left and right, after the crop is resized.
    pub flip: bool,
    /// Colour operations, first to last; `None` does nothing.
    pub jitter: [Option<Jitter>; 4],
    /// Replace the colours by their gray, last of all.
    pub gray: bool,
}

/// The part of the image that is kept and enlarged to 32x32; in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl Default for Crop {
    fn default() -> Self {
        Self { top: 0, left: 0, height: SIDE, width: SIDE }
    }
}

/// One operation of `ColorJitter` with its factor (1 is the identity) or, for the hue, its turn (0 is).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    /// In turns of the hue circle.
    Hue(f32),
}

impl View {
    /// The view that (seed, epoch, sample, view) has under `recipe`.
    ///
    /// Every number is drawn whether it is needed or not, and the crop, which takes a varying count of them, comes
    /// last: two recipes that differ in one probability differ in that operation only.
    pub fn draw(recipe: &Augment, seed: u64, epoch: u32, sample: u64, view: u32) -> Self {
        let mut stream = Stream::new(seed, Purpose::Augment, epoch, sample, view);
        let flip = stream.chance(recipe.flip);
        let gray = stream.chance(recipe.gray);
        let jittered = stream.chance(recipe.jitter);
        let jitter = draw_jitter(&mut stream, recipe);
        let crop = Crop::draw(&mut stream, recipe.crop_area_min);
        Self { crop, flip, jitter: if jittered { jitter } else { [None; 4] }, gray }
    }
}

/// `ColorJitter.get_params`: factors uniform around the identity, operations in random order; strength 0 is left out.
fn draw_jitter(stream: &mut Stream, recipe: &Augment) -> [Option<Jitter>; 4] {
    let mut factor = |strength: f64| {
        let factor = stream.between((1.0 - strength).max(0.0), 1.0 + strength) as f32;
        (strength > 0.0).then_some(factor)
    };
    let brightness = factor(recipe.brightness).map(Jitter::Brightness);
    let contrast = factor(recipe.contrast).map(Jitter::Contrast);
    let saturation = factor(recipe.saturation).map(Jitter::Saturation);
    let turn = stream.between(-recipe.hue, recipe.hue) as f32;
    let hue = (recipe.hue > 0.0).then_some(Jitter::Hue(turn));
    let mut jitter = [brightness, contrast, saturation, hue];
    stream.shuffle(&mut jitter);
    jitter
}

impl Crop {
    /// `RandomResizedCrop.get_params` with scale (`area_min`, 1) and ratio (3/4, 4/3): area uniform, aspect ratio
    /// log-uniform, ten tries, then the whole image (the central crop of an image whose own ratio is 1).
    fn draw(stream: &mut Stream, area_min: f64) -> Self {
        let log_ratio = (4.0f64 / 3.0).ln();
        for _ in 0..10 {
            let area = (SIDE * SIDE) as f64 * stream.between(area_min, 1.0);
            let ratio = stream.between(-log_ratio, log_ratio).exp();
            // Python rounds halves to even.
            let width = (area * ratio).sqrt().round_ties_even() as usize;
            let height = (area / ratio).sqrt().round_ties_even() as usize;
            if (1..=SIDE).contains(&width) && (1..=SIDE).contains(&height) {
                let top = stream.below((SIDE - height + 1) as u64) as usize;
                let left = stream.below((SIDE - width + 1) as u64) as usize;
                return Self { top, left, height, width };
            }
        }
        Self::default()
    }
}

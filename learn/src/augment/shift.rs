//! Pad, crop and flip (He et al. 2015, section 4.2), for a classifier's training images.

use std::ops::Range;

use tandem_domain::spec::PadCrop;
use tch::{Kind, Tensor};

use crate::data::SIDE;
use crate::random::{Purpose, Stream};

/// What is done to one image, as by torchvision's `RandomCrop(32, padding)` and `RandomHorizontalFlip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// Row 0 shows row `down` of the image; pixels outside the image are black.
    pub down: i64,
    /// The same for columns.
    pub right: i64,
    /// Mirror left and right, after the crop.
    pub flip: bool,
}

impl Shift {
    /// The shift of (seed, epoch, sample): both distances are uniform on -pad..=pad.
    pub fn draw(recipe: &PadCrop, seed: u64, epoch: u32, sample: u64) -> Self {
        let mut stream = Stream::new(seed, Purpose::Augment, epoch, sample, 0);
        let flip = stream.chance(recipe.flip);
        let mut distance = || stream.below(2 * u64::from(recipe.pad) + 1) as i64 - i64::from(recipe.pad);
        Self { down: distance(), right: distance(), flip }
    }
}

/// The rows, or columns, of the result that show an image shifted by `distance`.
pub(super) fn overlap(distance: i64) -> Range<usize> {
    let first = (-distance).clamp(0, SIDE as i64);
    let end = (SIDE as i64 - distance).clamp(first, SIDE as i64);
    first as usize..end as usize
}

/// The implementation by tensor operations, for CUDA devices: one gather from `images`, f32 `[N, 3, 32, 32]`.
pub(super) fn gathered(images: &Tensor, drawn: &[Shift]) -> Tensor {
    let (n, side, device) = (drawn.len() as i64, SIDE as i64, images.device());
    let numbers: Vec<i64> = drawn.iter().flat_map(|shift| [shift.down, shift.right, i64::from(shift.flip)]).collect();
    let numbers = Tensor::from_slice(&numbers).to_device(device).view([n, 3]);
    let column = |i: i64| numbers.narrow(1, i, 1);
    let places = Tensor::arange(side, (Kind::Int64, device));
    let rows = &places + column(0);
    // A flipped axis counts from the other end.
    let columns = &places + column(2) * ((side - 1) - &places * 2) + column(1);
    let inside = |places: &Tensor| places.ge(0).logical_and(&places.lt(side));
    let shown = inside(&rows).unsqueeze(2).logical_and(&inside(&columns).unsqueeze(1));
    let within = |places: Tensor| places.clamp(0, side - 1);
    let index = within(rows).unsqueeze(2) * side + within(columns).unsqueeze(1);
    let index = index.view([n, 1, side * side]).expand([n, 3, side * side], false);
    let pixels = images.flatten(2, 3).gather(2, &index, false).view([n, 3, side, side]);
    pixels * shown.unsqueeze(1)
}

//! The implementation by tensor operations on a whole batch, for CUDA devices: without a loop over samples, a transfer
//! of anything but the drawn numbers, or a wait for the device.
//!
//! Crop, resize and flip are two products with interpolation matrices: `out = Wy X Wxᵀ`, where a row of W is the hat
//! function around the position that an output reads from, clamped to the crop. The jitter has four places in its
//! order. At each, one formula covers the three linear operations, and the hue is turned on the samples that turn it
//! there.

use tch::{Device, Kind, Tensor};

use super::{
    colour::{GRAY, shares},
    view::{Jitter, View},
};
use crate::data::SIDE;

/// `images`: f32 `[N, 3, 32, 32]` in [0, 1]; `views[i]` is done to the i-th.
pub(super) fn render(images: &Tensor, views: &[View]) -> Tensor {
    let numbers = Numbers::upload(views, images.device());
    let down = interpolation(&numbers.column(Column::Top), &numbers.column(Column::Height), None);
    let flip = numbers.column(Column::Flip);
    let across = interpolation(&numbers.column(Column::Left), &numbers.column(Column::Width), Some(&flip));
    let mut out = down.unsqueeze(1).matmul(images).matmul(&across.transpose(1, 2).unsqueeze(1));
    for place in 0..PLACES {
        out = linear(&out, &numbers, place);
        out = hue(out, &numbers, place);
    }
    let grayed = numbers.column(Column::Gray).unsqueeze(2).unsqueeze(3);
    &out * (1.0 - &grayed) + gray(&out, &numbers.triple(Column::GrayShares as i64)) * grayed
}

const PLACES: usize = 4;
const COLUMNS: usize = Column::Linear as usize + 3 * PLACES;

/// The columns of a sample's row; `GrayShares` is the first of three, and `Linear` the first of three for each place.
#[derive(Clone, Copy)]
enum Column {
    Top,
    Height,
    Left,
    Width,
    Flip,
    Gray,
    Turn,
    GrayShares,
    Linear = Self::GrayShares as isize + 3,
}

/// All drawn numbers of a batch, moved to its device in two transfers.
struct Numbers {
    /// f32 `[N, COLUMNS]`.
    rows: Tensor,
    /// i64: the samples that turn their hue at the first place, then those at the second, and so on.
    hues: Tensor,
    /// Where each place begins in `hues`, and the end.
    hue_bounds: [i64; PLACES + 1],
}

impl Numbers {
    fn upload(views: &[View], device: Device) -> Self {
        let mut rows: Vec<f32> = Vec::with_capacity(views.len() * COLUMNS);
        let mut hues: [Vec<i64>; PLACES] = Default::default();
        for (sample, view) in (0i64..).zip(views) {
            let crop = view.crop;
            rows.extend([crop.top, crop.height, crop.left, crop.width].map(|pixels| pixels as f32));
            rows.extend([view.flip, view.gray.is_some()].map(f32::from));
            let turn = view.jitter.iter().find_map(|jitter| match jitter {
                Some(Jitter::Hue(turn)) => Some(*turn),
                _ => None,
            });
            rows.push(turn.unwrap_or(0.0));
            rows.extend(shares(view.gray.unwrap_or_default()));
            for (jitter, hues) in view.jitter.iter().zip(&mut hues) {
                rows.extend(match jitter {
                    Some(Jitter::Brightness(factor)) => [*factor, 0.0, 0.0],
                    Some(Jitter::Contrast(factor)) => [*factor, 1.0 - factor, 0.0],
                    Some(Jitter::Saturation(factor)) => [*factor, 0.0, 1.0 - factor],
                    Some(Jitter::Hue(_)) | None => [1.0, 0.0, 0.0],
                });
                if matches!(jitter, Some(Jitter::Hue(_))) {
                    hues.push(sample);
                }
            }
        }
        let mut hue_bounds = [0; PLACES + 1];
        for (place, hues) in hues.iter().enumerate() {
            hue_bounds[place + 1] = hue_bounds[place] + hues.len() as i64;
        }
        let rows = Tensor::from_slice(&rows).to_device(device).reshape([views.len() as i64, COLUMNS as i64]);
        Self { rows, hues: Tensor::from_slice(&hues.concat()).to_device(device), hue_bounds }
    }

    /// `[N, 1]`.
    fn column(&self, column: Column) -> Tensor {
        self.rows.narrow(1, column as i64, 1)
    }

    /// Factors of the image, of its mean gray and of its gray at `place`, each `[N, 1, 1, 1]`.
    fn linear(&self, place: usize) -> [Tensor; 3] {
        self.triple(Column::Linear as i64 + 3 * place as i64)
    }

    /// Three columns from `first` on, each `[N, 1, 1, 1]`.
    fn triple(&self, first: i64) -> [Tensor; 3] {
        [0, 1, 2].map(|term| self.rows.narrow(1, first + term, 1).unsqueeze(2).unsqueeze(3))
    }

    /// Samples that turn their hue at `place`.
    fn hues(&self, place: usize) -> Tensor {
        self.hues.narrow(0, self.hue_bounds[place], self.hue_bounds[place + 1] - self.hue_bounds[place])
    }
}

/// `[N, 32, 32]`: row x of sample n has the weights of the source pixels of output x.
fn interpolation(start: &Tensor, length: &Tensor, flip: Option<&Tensor>) -> Tensor {
    let pixels = Tensor::arange(SIDE as i64, (Kind::Float, start.device()));
    // A flipped axis counts from the other end: x + flip * (31 - 2x).
    let outputs = match flip {
        Some(flip) => &pixels + flip * ((SIDE - 1) as f64 - &pixels * 2.0),
        None => pixels.unsqueeze(0),
    };
    let source = ((outputs + 0.5) * (length / SIDE as f64) - 0.5).clamp_min(0.0).minimum(&(length - 1.0)) + start;
    let hat: Tensor = 1.0 - (source.unsqueeze(2) - &pixels).abs();
    hat.clamp_min(0.0)
}

/// Brightness, contrast and saturation at `place`, one formula: a image + b mean(gray) + c gray, then the clamp.
fn linear(images: &Tensor, numbers: &Numbers, place: usize) -> Tensor {
    let [image, mean, own] = numbers.linear(place);
    let gray = luma(images);
    let mean_gray = gray.mean_dim([1, 2, 3].as_slice(), true, Kind::Float);
    (images * image + mean_gray * mean + gray * own).clamp(0.0, 1.0)
}

/// Turns the hue of the samples that do so at `place`; leaves the others alone.
fn hue(mut images: Tensor, numbers: &Numbers, place: usize) -> Tensor {
    let samples = numbers.hues(place);
    if samples.numel() == 0 {
        return images;
    }
    let turns = numbers.column(Column::Turn).index_select(0, &samples).unsqueeze(2).unsqueeze(3);
    let turned = turn_hue(&images.index_select(0, &samples), &turns);
    images.index_copy_(0, &samples, &turned)
}

/// As `Planes::turn_hue`; `turns` is `[N, 1, 1, 1]`.
fn turn_hue(images: &Tensor, turns: &Tensor) -> Tensor {
    let [red, green, blue] = [0, 1, 2].map(|channel| images.narrow(1, channel, 1));
    let (high, low) = (images.amax([1].as_slice(), true), images.amin([1].as_slice(), true));
    let chroma = &high - &low;
    let divisor = chroma.where_self(&chroma.not_equal(0.0), &chroma.ones_like());
    let from_red = (&green - &blue) / &divisor;
    let from_green = (&blue - &red) / &divisor + 2.0;
    let from_blue = (&red - &green) / &divisor + 4.0;
    let hue = from_green.where_self(&high.eq_tensor(&green), &from_blue);
    let hue = from_red.where_self(&high.eq_tensor(&red), &hue);
    let hue = (hue + turns * 6.0).remainder(6.0);
    let channel = |share: Tensor| &low + &chroma * share.clamp(0.0, 1.0);
    let red = channel((&hue - 3.0).abs() - 1.0);
    let green = channel(2.0 - (&hue - 2.0).abs());
    let blue = channel(2.0 - (&hue - 4.0).abs());
    Tensor::cat(&[red, green, blue], 1)
}

/// The gray that contrast and saturation go by, `[N, 1, 32, 32]`.
fn luma(images: &Tensor) -> Tensor {
    let [red, green, blue] = [0, 1, 2].map(|channel| images.narrow(1, channel, 1) * f64::from(GRAY[channel as usize]));
    red + green + blue
}

/// The gray in which each channel of a sample has its share, `[N, 1, 32, 32]`.
fn gray(images: &Tensor, shares: &[Tensor; 3]) -> Tensor {
    let [red, green, blue] = [0, 1, 2].map(|channel| images.narrow(1, channel, 1) * &shares[channel as usize]);
    red + green + blue
}

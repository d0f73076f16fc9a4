//! The set T of the paper: random crop and resize, flip, colour jitter, grayscale, distributed as in torchvision.
//!
//! `view` draws what to do, as plain numbers keyed by (seed, epoch, sample, view), which do not depend on the batch.
//! Two implementations apply them: `cpu` takes one image after another through first-level cache (with `bilinear` and
//! `colour`), `batched` is tensor operations on a whole batch, for CUDA devices. Both equal torchvision's float path to
//! 1e-5 (`tests/augment_parity.rs`). `shift` is the milder recipe of classifiers, with the same two implementations.

mod batched;
mod bilinear;
mod colour;
mod cpu;
mod shift;
mod view;

use tandem_domain::spec::{Augment, PadCrop};
use tch::{Device, Kind, Tensor};

pub use shift::Shift;
pub use view::{Crop, Jitter, View};

use crate::data::{IMAGE, Images};

/// Views 0 and 1 of each sample: f32 `[2 * samples, 3, 32, 32]` in [0, 1], all first views before all second ones, on
/// the device of `images`.
///
/// The CPU implementation uses up to `threads` threads; their number changes no bit. On a CPU the memory is
/// channels-last, the faster format for convolutions there.
///
/// # Panics
/// If a sample is no index of `images`, or the device has no memory left (tch).
pub fn pairs(images: &Images, samples: &[i64], recipe: &Augment, seed: u64, epoch: u32, threads: u32) -> Tensor {
    let mut drawn = draw(samples, 0, recipe, seed, epoch);
    drawn.extend(draw(samples, 1, recipe, seed, epoch));
    apply(images, samples, &drawn, threads)
}

/// One view of each sample, `[samples, 3, 32, 32]`; otherwise as [`pairs`]. `view` is part of the key of the draw.
pub fn views(
    images: &Images,
    samples: &[i64],
    view: u32,
    recipe: &Augment,
    seed: u64,
    epoch: u32,
    threads: u32,
) -> Tensor {
    apply(images, samples, &draw(samples, view, recipe, seed, epoch), threads)
}

fn draw(samples: &[i64], view: u32, recipe: &Augment, seed: u64, epoch: u32) -> Vec<View> {
    samples.iter().map(|&sample| View::draw(recipe, seed, epoch, sample as u64, view)).collect()
}

/// Applies drawn views, as [`pairs`] and [`views`] do: `drawn[i]` to `samples[i % samples.len()]`.
pub fn apply(images: &Images, samples: &[i64], drawn: &[View], threads: u32) -> Tensor {
    match images.pixels.device() {
        Device::Cpu => one_by_one(images, samples, drawn, threads),
        _ => batched(images, samples, drawn),
    }
}

/// Each sample shifted on black and flipped, by [`Shift::draw`]; otherwise as [`views`].
pub fn shifted(images: &Images, samples: &[i64], recipe: &PadCrop, seed: u64, epoch: u32, threads: u32) -> Tensor {
    let drawn: Vec<Shift> = samples.iter().map(|&sample| Shift::draw(recipe, seed, epoch, sample as u64)).collect();
    match images.pixels.device() {
        Device::Cpu => rendered(images, samples, &drawn, threads),
        _ => shift::gathered(&plain(images, samples), &drawn),
    }
}

/// Images that are copied between a tensor and our own memory at once. For more than 32768 values libtorch starts
/// threads, which then spin for milliseconds on cores that [`cpu::render`] needs.
const TOGETHER: usize = 8;

/// [`apply`] by the CPU implementation; channels-last.
pub fn one_by_one(images: &Images, samples: &[i64], drawn: &[View], threads: u32) -> Tensor {
    rendered(images, samples, drawn, threads)
}

fn rendered(images: &Images, samples: &[i64], drawn: &[impl cpu::Render], threads: u32) -> Tensor {
    let mut bytes = vec![0; samples.len() * IMAGE];
    for (samples, bytes) in samples.chunks(TOGETHER).zip(bytes.chunks_mut(TOGETHER * IMAGE)) {
        let count = bytes.len();
        gather(images, samples).copy_data(bytes, count);
    }
    let pixels = cpu::render(&bytes, drawn, threads as usize);
    let out = Tensor::empty([drawn.len() as i64, 32, 32, 3], (Kind::Float, Device::Cpu));
    for (block, pixels) in (0..).zip(pixels.chunks(TOGETHER * IMAGE)) {
        let block = out.narrow(0, block * TOGETHER as i64, (pixels.len() / IMAGE) as i64);
        block.view(-1).copy_(&Tensor::from_slice(pixels));
    }
    out.permute([0, 3, 1, 2])
}

/// [`apply`] by tensor operations on the images' device; contiguous.
pub fn batched(images: &Images, samples: &[i64], drawn: &[View]) -> Tensor {
    let times = drawn.len().checked_div(samples.len()).unwrap_or(0);
    batched::render(&plain(images, samples).repeat([times as i64, 1, 1, 1]), drawn)
}

/// The samples without augmentation: f32 `[samples, 3, 32, 32]` in [0, 1].
pub fn plain(images: &Images, samples: &[i64]) -> Tensor {
    gather(images, samples).to_kind(Kind::Float) / 255.0
}

fn gather(images: &Images, samples: &[i64]) -> Tensor {
    images.pixels.index_select(0, &Tensor::from_slice(samples).to_device(images.pixels.device()))
}

#[cfg(test)]
mod tests {
    use tandem_domain::spec::GrayWeights;

    use super::*;
    use crate::random::{Purpose, Stream};

    fn noise_images(count: usize) -> Images {
        let mut stream = Stream::new(9, Purpose::Shapes, 0, 0, 0);
        let mut pixels: Vec<u8> = (0..count * IMAGE).map(|_| stream.word() as u8).collect();
        // Flat, black and white images too: no hue, no chroma, ties between channels.
        pixels[..IMAGE].fill(0);
        pixels[IMAGE..2 * IMAGE].fill(255);
        pixels[2 * IMAGE..3 * IMAGE].fill(90);
        Images::new(&pixels, vec![0; count], Device::Cpu).unwrap()
    }

    #[test]
    fn both_executions_agree() {
        let images = noise_images(300);
        let samples: Vec<i64> = (0..300).rev().collect();
        let recipe = Augment { hue: 0.5, brightness: 0.8, contrast: 0.8, saturation: 0.8, ..Augment::default() };
        for gray_weights in [GrayWeights::Luma, GrayWeights::Mean] {
            let recipe = Augment { gray_weights, gray: 0.5, ..recipe };
            let drawn: Vec<View> = samples.iter().map(|&s| View::draw(&recipe, 1, 0, s as u64, 0)).collect();
            let difference = one_by_one(&images, &samples, &drawn, 2) - batched(&images, &samples, &drawn);
            let largest = difference.abs().max().double_value(&[]);
            assert!(largest < 1e-5, "{gray_weights:?}: {largest}");
        }
    }

    /// By torch's own mean and its own products; 1e-6 is a few roundings in f32. Contrast and saturation stay luma's.
    #[test]
    fn gray_is_luma_or_the_plain_mean_of_the_channels() {
        let images = noise_images(12);
        let samples: Vec<i64> = (0..12).collect();
        let colours = plain(&images, &samples);
        let luma = Tensor::from_slice(&[0.2989f32, 0.587, 0.114]).view([1, 3, 1, 1]);
        let luma = (&colours * luma).sum_dim_intlist([1i64].as_slice(), true, None::<Kind>);
        let mean = colours.mean_dim([1i64].as_slice(), true, None::<Kind>);
        assert!((&luma - &mean).abs().max().double_value(&[]) > 0.1);
        for (weights, expected) in [(GrayWeights::Luma, luma), (GrayWeights::Mean, mean)] {
            let drawn = vec![View { gray: Some(weights), ..View::default() }; 12];
            for made in [one_by_one(&images, &samples, &drawn, 1), batched(&images, &samples, &drawn)] {
                assert!((made - &expected).abs().max().double_value(&[]) < 1e-6, "{weights:?}");
            }
        }
        let saturated = |gray_weights| {
            let recipe = Augment { gray: 0.0, jitter: 1.0, gray_weights, ..Augment::default() };
            views(&images, &samples, 0, &recipe, 1, 1, 1)
        };
        assert_eq!(saturated(GrayWeights::Luma), saturated(GrayWeights::Mean));
    }

    #[test]
    fn a_view_depends_on_its_key_and_not_on_its_batch_or_threads() {
        let images = noise_images(20);
        let recipe = Augment::default();
        let all = views(&images, &(0..20).collect::<Vec<_>>(), 1, &recipe, 3, 4, 1);
        let some = views(&images, &[17, 3], 1, &recipe, 3, 4, 3);
        assert_eq!(some, all.index_select(0, &Tensor::from_slice(&[17i64, 3])));
        for (view, seed, epoch) in [(0, 3, 4), (1, 2, 4), (1, 3, 5)] {
            assert_ne!(views(&images, &[17, 3], view, &recipe, seed, epoch, 1), some);
        }
    }

    #[test]
    fn a_pair_is_both_views_one_after_the_other() {
        let images = noise_images(5);
        let (samples, recipe) = ([4, 1, 3], Augment::default());
        let both = [0, 1].map(|view| views(&images, &samples, view, &recipe, 1, 2, 1));
        assert_eq!(pairs(&images, &samples, &recipe, 1, 2, 2), Tensor::cat(&both, 0));
        let drawn = [0, 1].map(|view| draw(&samples, view, &recipe, 1, 2)).concat();
        assert!((batched(&images, &samples, &drawn) - Tensor::cat(&both, 0)).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn no_samples_give_no_views() {
        let empty = pairs(&noise_images(3), &[], &Augment::default(), 1, 1, 2);
        assert_eq!(empty.size(), [0, 3, 32, 32]);
        assert_eq!(batched(&noise_images(3), &[], &[]).size(), [0, 3, 32, 32]);
    }

    #[test]
    fn a_recipe_of_nothing_returns_the_images() {
        let images = noise_images(5);
        let nothing = Augment { crop_area_min: 1.0, flip: 0.0, jitter: 0.0, gray: 0.0, ..Augment::default() };
        let samples = [4, 0, 2];
        let difference = (views(&images, &samples, 0, &nothing, 1, 1, 1) - plain(&images, &samples)).abs().max();
        assert!(difference.double_value(&[]) < 1e-6);
    }

    /// The image written into the middle of a black one, cut out again and mirrored, pixel by pixel.
    fn brute_force(images: &Images, sample: i64, shift: Shift) -> Vec<f32> {
        const MARGIN: i64 = 40;
        let image = plain(images, &[sample]).get(0);
        let mut black = vec![vec![vec![0.0; 112]; 112]; 3];
        for (c, y, x) in (0..3).flat_map(|c| (0..32).flat_map(move |y| (0..32).map(move |x| (c, y, x)))) {
            black[c as usize][(MARGIN + y) as usize][(MARGIN + x) as usize] = image.double_value(&[c, y, x]) as f32;
        }
        let mut out = vec![];
        for (c, y, x) in (0..3).flat_map(|c| (0..32).flat_map(move |y| (0..32).map(move |x| (c, y, x)))) {
            let x = if shift.flip { 31 - x } else { x };
            out.push(black[c][(MARGIN + y + shift.down) as usize][(MARGIN + x + shift.right) as usize]);
        }
        out
    }

    #[test]
    fn both_executions_of_a_shift_are_the_loop_over_pixels() {
        let images = noise_images(6);
        let shift = |down, right, flip| Shift { down, right, flip };
        let drawn =
            [shift(0, 0, false), shift(4, -3, false), shift(-4, 2, true), shift(1, 4, true), shift(40, 0, false)];
        let samples = [5, 4, 3, 4, 5];
        let ours = rendered(&images, &samples, &drawn, 2);
        for ((i, &sample), shift) in (0..).zip(&samples).zip(drawn) {
            let expected = Tensor::from_slice(&brute_force(&images, sample, shift)).view([3, 32, 32]);
            assert_eq!(ours.get(i), expected, "{shift:?}");
        }
        assert_eq!(shift::gathered(&plain(&images, &samples), &drawn), ours);
        assert_eq!(ours.stride(), [3072, 1, 96, 3], "channels last");
    }

    #[test]
    fn shifts_are_even_and_belong_to_their_sample_and_epoch() {
        let recipe = PadCrop { pad: 4, flip: 0.3 };
        let drawn: Vec<Shift> = (0..20_000).map(|sample| Shift::draw(&recipe, 1, 2, sample)).collect();
        let mut counts = [[0u32; 9]; 9];
        drawn.iter().for_each(|shift| counts[(shift.down + 4) as usize][(shift.right + 4) as usize] += 1);
        let expected = 20_000.0 / 81.0;
        let chi_squared: f64 =
            counts.iter().flatten().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        assert!(chi_squared < 136.0, "{chi_squared}: beyond the 0.9999 quantile for 80 degrees of freedom");
        let flips = drawn.iter().filter(|shift| shift.flip).count() as f64 / 20_000.0;
        assert!((flips - 0.3).abs() < 4.5 * (0.21f64 / 20_000.0).sqrt(), "{flips}");

        let images = noise_images(20);
        let all = shifted(&images, &(0..20).collect::<Vec<_>>(), &recipe, 3, 4, 1);
        let some = shifted(&images, &[17, 3], &recipe, 3, 4, 3);
        assert_eq!(some, all.index_select(0, &Tensor::from_slice(&[17i64, 3])), "not to its batch or threads");
        assert_ne!(shifted(&images, &[17, 3], &recipe, 3, 5, 1), some);
        let nothing = PadCrop { pad: 0, flip: 0.0 };
        assert_eq!(shifted(&images, &[2, 9], &nothing, 1, 1, 1), plain(&images, &[2, 9]));
    }

    #[test]
    fn cpu_views_are_channels_last() {
        let images = noise_images(4);
        let view = views(&images, &[0, 1], 0, &Augment::default(), 1, 1, 1);
        assert_eq!((view.size(), view.stride()), (vec![2, 3, 32, 32], vec![3072, 1, 96, 3]));
    }
}

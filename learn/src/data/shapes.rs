//! `shapes`: synthetic images for a first run without a download.
//!
//! A class is one of five outlines filled with one of two textures (see [`class_names`]). Nothing else distinguishes
//! classes: colours, position, rotation, area, texture period and phase have the same distribution in all of them. In
//! particular it is the *area* that is drawn, not the radius, both textures give half of it to each of their tones, and
//! pixels are never blended at edges, so that a colour histogram does not depend on the class. The three tones differ
//! in lightness, so that a grayscale view still shows the shape.

use std::thread::available_parallelism;

use tandem_domain::spec;
use tandem_images::{IMAGE, PLANE, RawData, RawImages, SIDE};

use crate::progress;
use crate::random::{Purpose, Stream};

/// Training images of `shapes`.
pub const SHAPES_TRAIN: usize = spec::SHAPES_TRAIN as usize;
/// Test images of `shapes`.
pub const SHAPES_TEST: usize = spec::SHAPES_TEST as usize;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outline {
    Disc,
    Square,
    Triangle,
    Ring,
    Cross,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Texture {
    Stripes,
    Checks,
}

const OUTLINES: [(Outline, &str); 5] = [
    (Outline::Disc, "disc"),
    (Outline::Square, "square"),
    (Outline::Triangle, "triangle"),
    (Outline::Ring, "ring"),
    (Outline::Cross, "cross"),
];
const TEXTURES: [(Texture, &str); 2] = [(Texture::Stripes, "striped"), (Texture::Checks, "checked")];
const CLASSES: usize = OUTLINES.len() * TEXTURES.len();

/// Area of an outline in pixels, uniform: from 12 to 25 % of the image.
const AREA: (f64, f64) = (120.0, 260.0);
/// Length of one light and one dark band together, in pixels.
const PERIOD: (f64, f64) = (4.0, 6.0);
/// Lightness of the three tones, before each is jittered by +-0.08.
const LIGHTNESS: [f64; 3] = [0.2, 0.5, 0.8];
/// Hole of the ring and half arm of the cross, as shares of the extent.
const HOLE: f64 = 0.55;
const ARM: f64 = 0.35;
/// Standard deviation of the noise, in steps of 1/255.
const NOISE: f32 = 8.0;

/// The data set of `seed`.
pub(super) fn draw(seed: u64) -> RawData {
    RawData {
        train: half(seed, 0, SHAPES_TRAIN),
        test: half(seed, 1, SHAPES_TEST),
        classes: class_names(),
        left_out: None,
        squeezed: None,
    }
}

fn class_names() -> Vec<String> {
    let names = OUTLINES.iter().flat_map(|(_, outline)| TEXTURES.map(|(_, texture)| format!("{texture} {outline}")));
    names.collect()
}

/// `part` is 0 for training and 1 for test. Classes take turns, so both halves are balanced.
fn half(seed: u64, part: u32, count: usize) -> RawImages {
    let mut pixels = vec![0; count * IMAGE];
    let share = count.div_ceil(available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        for (thread, pixels) in pixels.chunks_mut(share * IMAGE).enumerate() {
            scope.spawn(move || {
                for (i, image) in pixels.chunks_exact_mut(IMAGE).enumerate() {
                    let id = thread * share + i;
                    paint(&mut Stream::new(seed, Purpose::Shapes, 0, id as u64, part), id % CLASSES, image);
                    progress::work_done();
                }
            });
        }
    });
    RawImages { pixels, labels: (0..count).map(|id| (id % CLASSES) as i64).collect() }
}

fn paint(stream: &mut Stream, class: usize, image: &mut [u8]) {
    let (outline, texture) = (OUTLINES[class / TEXTURES.len()].0, TEXTURES[class % TEXTURES.len()].0);
    let extent = outline.extent(stream.between(AREA.0, AREA.1));
    let reach = outline.reach() * extent;
    let (low, high) = (reach.min(SIDE as f64 / 2.0), (SIDE as f64 - reach).max(SIDE as f64 / 2.0));
    let place = (stream.between(low, high), stream.between(low, high));
    let rotation = Rotation::new(stream.between(0.0, std::f64::consts::TAU));
    let texture_rotation = Rotation::new(stream.between(0.0, std::f64::consts::TAU));
    let frequency = 2.0 / stream.between(PERIOD.0, PERIOD.1);
    let phase = (stream.between(0.0, 2.0), stream.between(0.0, 2.0));
    let tones = tones(stream);

    let (red, rest) = image.split_at_mut(PLANE);
    let (green, blue) = rest.split_at_mut(PLANE);
    for at in 0..PLANE {
        let (x, y) = ((at % SIDE) as f64 + 0.5 - place.0, (at / SIDE) as f64 + 0.5 - place.1);
        let tone = if outline.holds(rotation.apply(x, y), extent) {
            let (u, v) = texture_rotation.apply(x, y);
            let band = |t: f64, phase: f64| (t * frequency + phase).floor() as i64;
            let bands = match texture {
                Texture::Stripes => band(u, phase.0),
                Texture::Checks => band(u, phase.0) + band(v, phase.1),
            };
            usize::from(bands % 2 != 0)
        } else {
            2
        };
        let noisy = noise(stream);
        let value = |channel: usize| (tones[tone][channel] + noisy[channel]).clamp(0.0, 255.0).round() as u8;
        (red[at], green[at], blue[at]) = (value(0), value(1), value(2));
    }
}

impl Outline {
    /// Radius, half side or half length for which the outline covers `area`.
    fn extent(self, area: f64) -> f64 {
        let of_unit_extent = match self {
            Self::Disc => std::f64::consts::PI,
            Self::Square => 4.0,
            // Equilateral, by the radius of the circle around it.
            Self::Triangle => 0.75 * 3f64.sqrt(),
            Self::Ring => std::f64::consts::PI * (1.0 - HOLE * HOLE),
            Self::Cross => 4.0 * (2.0 * ARM - ARM * ARM),
        };
        (area / of_unit_extent).sqrt()
    }

    /// Distance of the farthest point from the centre, for extent 1.
    fn reach(self) -> f64 {
        match self {
            Self::Disc | Self::Triangle | Self::Ring => 1.0,
            Self::Square => std::f64::consts::SQRT_2,
            Self::Cross => ARM.hypot(1.0),
        }
    }

    fn holds(self, (x, y): (f64, f64), extent: f64) -> bool {
        let (x, y) = (x / extent, y / extent);
        match self {
            Self::Disc => x * x + y * y <= 1.0,
            Self::Square => x.abs().max(y.abs()) <= 1.0,
            Self::Triangle => y >= -0.5 && 3f64.sqrt() * x.abs() + y <= 1.0,
            Self::Ring => (HOLE * HOLE..=1.0).contains(&(x * x + y * y)),
            Self::Cross => x.abs().min(y.abs()) <= ARM && x.abs().max(y.abs()) <= 1.0,
        }
    }
}

/// A rotation about the origin.
#[derive(Clone, Copy)]
struct Rotation {
    sin: f64,
    cos: f64,
}

impl Rotation {
    fn new(angle: f64) -> Self {
        Self { sin: angle.sin(), cos: angle.cos() }
    }

    fn apply(self, x: f64, y: f64) -> (f64, f64) {
        (self.cos * x - self.sin * y, self.sin * x + self.cos * y)
    }
}

/// Two tones of the texture and one of the background, RGB in 0..=255: any hue, three lightnesses in random order.
fn tones(stream: &mut Stream) -> [[f32; 3]; 3] {
    let mut lightness = LIGHTNESS;
    stream.shuffle(&mut lightness);
    lightness.map(|lightness| {
        let light = lightness + stream.between(-0.08, 0.08);
        // A direction across the gray axis; +-0.2 of it never leaves the cube by more than noise does.
        let hue = stream.between(0.0, std::f64::consts::TAU);
        let chroma = stream.between(0.0, 0.2);
        let channel = |offset: f64| (255.0 * (light + chroma * (hue + offset).cos())).clamp(0.0, 255.0) as f32;
        [channel(0.0), channel(std::f64::consts::TAU / 3.0), channel(-std::f64::consts::TAU / 3.0)]
    })
}

/// Three draws of a centred sum of four bytes: nearly normal, at one word a draw.
fn noise(stream: &mut Stream) -> [f32; 3] {
    // Variance of one uniform byte: (256² - 1) / 12.
    let scale = NOISE / (4.0 * (65_535.0 / 12.0f32)).sqrt();
    std::array::from_fn(|_| {
        let sum: u32 = stream.word().to_le_bytes().into_iter().map(u32::from).sum();
        (sum as f32 - 510.0) * scale
    })
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Tensor};

    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_seed_others() {
        assert_eq!(half(1, 0, 50), half(1, 0, 50));
        assert_ne!(half(1, 0, 50), half(2, 0, 50));
        assert_ne!(half(1, 0, 50), half(1, 1, 50), "test images are not training images");
        assert_eq!(half(1, 0, 20).pixels, half(1, 0, 50).pixels[..20 * IMAGE]);
    }

    #[test]
    fn ten_classes_take_turns() {
        assert_eq!(class_names().len(), CLASSES);
        assert_eq!(class_names()[..3], ["striped disc", "checked disc", "striped square"]);
        assert_eq!(half(1, 0, 12).labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    }

    #[test]
    fn outlines_of_one_area_cover_the_same_number_of_points() {
        for (outline, name) in OUTLINES {
            let extent = outline.extent(200.0);
            let steps = 0..400;
            let inside = steps
                .clone()
                .flat_map(|i| steps.clone().map(move |j| (i, j)))
                .filter(|&(i, j)| outline.holds((f64::from(i) * 0.1 - 20.0, f64::from(j) * 0.1 - 20.0), extent));
            let area = inside.count() as f64 * 0.01;
            assert!((area - 200.0).abs() < 4.0, "{name}: {area}");
        }
    }

    /// Test accuracy of a least-squares classifier (ridge) on features `[N, D]`.
    fn linear_accuracy(train: &Tensor, test: &Tensor, labels: &[i64], test_labels: &[i64], ridge: f64) -> f64 {
        let (mean, std) = (train.mean_dim(0, true, Kind::Float), train.std_dim(0, true, true) + 1e-6);
        let bias = |x: &Tensor| {
            Tensor::cat(&[(x - &mean) / &std, Tensor::ones([x.size()[0], 1], (Kind::Float, x.device()))], 1)
        };
        let (x, z) = (bias(train), bias(test));
        let targets = Tensor::from_slice(labels).one_hot(CLASSES as i64).to_kind(Kind::Float);
        let gram =
            x.tr().matmul(&x) + Tensor::eye(x.size()[1], (Kind::Float, x.device())) * (ridge * labels.len() as f64);
        let (weights, _) = Tensor::linalg_solve_ex(&gram, &x.tr().matmul(&targets), true, false);
        let right = z.matmul(&weights).argmax(1, false).eq_tensor(&Tensor::from_slice(test_labels));
        right.to_kind(Kind::Float).mean(Kind::Float).double_value(&[])
    }

    fn as_tensor(images: &RawImages) -> Tensor {
        Tensor::from_slice(&images.pixels).reshape([images.labels.len() as i64, 3, -1]).to_kind(Kind::Float) / 255.0
    }

    #[test]
    fn colours_alone_tell_nothing_and_raw_pixels_little() {
        let (train, test) = (half(3, 0, 2000), half(3, 1, 1000));
        // Joint 4x4x4 histogram and 32 bins of lightness.
        let histogram = |images: &RawImages| {
            let x = as_tensor(images);
            let bins = (&x * 4.0).floor().clamp_max(3.0);
            let joint = bins.select(1, 0) * 16.0 + bins.select(1, 1) * 4.0 + bins.select(1, 2);
            let light = (x.mean_dim(1, false, Kind::Float) * 32.0).floor().clamp_max(31.0) + 64.0;
            let counts = |codes: &Tensor| codes.to_kind(Kind::Int64).one_hot(96).sum_dim_intlist(1, false, Kind::Float);
            // Sorted bins too: how much of the image each tone takes, whichever colour it has.
            let light = counts(&light);
            let (sorted, _) = light.sort(1, true);
            Tensor::cat(&[counts(&joint), light, sorted], 1)
        };
        let colours = linear_accuracy(&histogram(&train), &histogram(&test), &train.labels, &test.labels, 1e-2);
        assert!(colours < 0.14, "colours: {colours}, chance is 0.1 +- 0.01");
        let raw = |images: &RawImages| {
            Tensor::avg_pool2d(&as_tensor(images).reshape([-1, 3, 32, 32]), [2, 2], [2, 2], [0, 0], false, true, None)
                .flatten(1, -1)
        };
        let pixels = linear_accuracy(&raw(&train), &raw(&test), &train.labels, &test.labels, 1e-1);
        assert!(pixels < 0.2, "pixels: {pixels}");
    }
}

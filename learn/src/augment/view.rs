//! What is done to one sample to make one view of it, distributed as in torchvision 0.22.

use tandem_domain::spec::{Augment, GrayWeights};

use crate::{
    data::SIDE,
    random::{Purpose, Stream},
};

/// One view, as numbers. `Default` is the identity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    pub crop: Crop,
    /// Mirror left and right, after the crop is resized.
    pub flip: bool,
    /// Colour operations, first to last; `None` does nothing.
    pub jitter: [Option<Jitter>; 4],
    /// Replace the colours by gray of these weights, last of all.
    pub gray: Option<GrayWeights>,
}

/// The part of the image that is enlarged to 32x32, in pixels.
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
    /// last. So two recipes that differ in one probability differ in that operation only.
    pub fn draw(recipe: &Augment, seed: u64, epoch: u32, sample: u64, view: u32) -> Self {
        let mut stream = Stream::new(seed, Purpose::Augment, epoch, sample, view);
        let flip = stream.chance(recipe.flip);
        let gray = stream.chance(recipe.gray).then_some(recipe.gray_weights);
        let jittered = stream.chance(recipe.jitter);
        let jitter = draw_jitter(&mut stream, recipe);
        let crop = Crop::draw(&mut stream, recipe.crop_area_min);
        Self { crop, flip, jitter: if jittered { jitter } else { [None; 4] }, gray }
    }
}

/// As `ColorJitter.get_params`: factors uniform around the identity, operations in random order; none of strength 0.
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
    /// As `RandomResizedCrop.get_params` with scale (`area_min`, 1) and ratio (3/4, 4/3): uniform area, log-uniform
    /// aspect ratio, ten tries, then the whole image (which is the central crop of a square image).
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

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(recipe: &Augment) -> Vec<View> {
        (0..20_000).map(|sample| View::draw(recipe, 11, 0, sample, 0)).collect()
    }

    /// Kolmogorov and Smirnov's distance of `values` from the uniform law on [low, high], as its p = 1e-4 bound.
    fn assert_uniform(mut values: Vec<f64>, low: f64, high: f64, what: &str) {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let distance = values.iter().enumerate().map(|(i, value)| {
            let law = (value - low) / (high - low);
            (law - i as f64 / n).abs().max((law - (i + 1) as f64 / n).abs())
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 2.23 / n.sqrt(), "{what}: {distance} from uniform with {n} draws");
    }

    fn assert_share(count: usize, of: usize, p: f64, what: &str) {
        let share = count as f64 / of as f64;
        assert!((share - p).abs() < 4.5 * (p * (1.0 - p) / of as f64).sqrt(), "{what}: {share} is not {p}");
    }

    #[test]
    fn flips_grays_and_jitters_come_with_their_probability() {
        let recipe = Augment { flip: 0.3, gray: 0.2, jitter: 0.8, ..Augment::default() };
        let views = draws(&recipe);
        let count = |test: fn(&View) -> bool| views.iter().filter(|view| test(view)).count();
        assert_share(count(|view| view.flip), views.len(), 0.3, "flip");
        assert_share(count(|view| view.gray.is_some()), views.len(), 0.2, "gray");
        assert_share(count(|view| view.jitter[0].is_some()), views.len(), 0.8, "jitter");
        assert_share(
            count(|view| view.flip && view.gray.is_some()),
            views.len(),
            0.06,
            "flip and gray are independent",
        );
    }

    #[test]
    fn factors_are_uniform_around_the_identity_and_never_negative() {
        let recipe =
            Augment { jitter: 1.0, brightness: 0.4, contrast: 1.5, saturation: 0.7, hue: 0.1, ..Augment::default() };
        let mut drawn: [Vec<f64>; 4] = Default::default();
        for jitter in draws(&recipe).iter().flat_map(|view| view.jitter.into_iter().flatten()) {
            match jitter {
                Jitter::Brightness(factor) => drawn[0].push(factor.into()),
                Jitter::Contrast(factor) => drawn[1].push(factor.into()),
                Jitter::Saturation(factor) => drawn[2].push(factor.into()),
                Jitter::Hue(turn) => drawn[3].push(turn.into()),
            }
        }
        let laws = [(0.6, 1.4, "brightness"), (0.0, 2.5, "contrast"), (0.3, 1.7, "saturation"), (-0.1, 0.1, "hue")];
        for (values, (low, high, what)) in drawn.into_iter().zip(laws) {
            assert_uniform(values, low, high, what);
        }
    }

    #[test]
    fn each_of_the_24_orders_is_equally_likely() {
        let recipe = Augment { jitter: 1.0, ..Augment::default() };
        let mut counts = std::collections::HashMap::new();
        let views = draws(&recipe);
        for view in &views {
            let order = view.jitter.map(|jitter| jitter.map(|jitter| std::mem::discriminant(&jitter)));
            *counts.entry(order).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 24);
        counts.into_values().for_each(|count| assert_share(count, views.len(), 1.0 / 24.0, "order"));
    }

    #[test]
    fn strength_zero_leaves_an_operation_out() {
        let recipe = Augment { jitter: 1.0, hue: 0.0, contrast: 0.0, ..Augment::default() };
        let jitters = draws(&recipe).into_iter().flat_map(|view| view.jitter).flatten();
        assert!(!jitters.into_iter().any(|jitter| matches!(jitter, Jitter::Hue(_) | Jitter::Contrast(_))));
    }

    /// The law restated without rounding: given that a try fits, the area and the ratio it came from. Rejection skews
    /// both, so the reference is a rejection sample of the continuous law with another generator key.
    #[test]
    fn crops_follow_the_law_of_random_resized_crop() {
        let crops: Vec<Crop> = draws(&Augment::default()).into_iter().map(|view| view.crop).collect();
        let mut reference = Vec::new();
        let mut stream = Stream::new(12, Purpose::Augment, 1, 0, 0);
        while reference.len() < crops.len() {
            let area = stream.between(0.08, 1.0);
            let ratio = stream.between(0.75f64.ln(), (4.0f64 / 3.0).ln()).exp();
            let (width, height) = (32.0 * (area * ratio).sqrt(), 32.0 * (area / ratio).sqrt());
            if width < 32.5 && height < 32.5 {
                reference.push((width, height));
            }
        }
        let n = crops.len() as f64;
        let moments = |values: &dyn Fn(usize) -> f64| {
            let mean = (0..crops.len()).map(values).sum::<f64>() / n;
            (mean, (0..crops.len()).map(|i| (values(i) - mean).powi(2)).sum::<f64>() / n)
        };
        let compare = |what: &str, ours: &dyn Fn(usize) -> f64, theirs: &dyn Fn(usize) -> f64| {
            let ((mean, variance), (expected, expected_variance)) = (moments(ours), moments(theirs));
            assert!(
                (mean - expected).abs() < 4.5 * ((variance + expected_variance) / n).sqrt(),
                "{what}: {mean} {expected}"
            );
            // Rounding to whole pixels adds 1/12 pixel² and no more.
            assert!((variance / expected_variance - 1.0).abs() < 0.06, "{what}: {variance} {expected_variance}");
        };
        compare("width", &|i| crops[i].width as f64, &|i| reference[i].0);
        compare("height", &|i| crops[i].height as f64, &|i| reference[i].1);
        let log_ratio = |(width, height): (f64, f64)| (width / height).ln();
        compare("ratio", &|i| log_ratio((crops[i].width as f64, crops[i].height as f64)), &|i| log_ratio(reference[i]));

        // The place is uniform over all that fit: of crops of one height, each top is as likely.
        let tops: Vec<usize> = crops.iter().filter(|crop| crop.height == 20).map(|crop| crop.top).collect();
        (0..=12).for_each(|top| {
            assert_share(tops.iter().filter(|&&drawn| drawn == top).count(), tops.len(), 1.0 / 13.0, "top");
        });
        assert!(crops.iter().all(|crop| crop.top + crop.height <= SIDE && crop.left + crop.width <= SIDE));
    }

    #[test]
    fn a_changed_probability_changes_nothing_else() {
        let flipped = Augment { flip: 1.0, ..Augment::default() };
        let never = Augment { flip: 0.0, ..Augment::default() };
        for (with, without) in draws(&flipped).into_iter().zip(draws(&never)) {
            assert_eq!(View { flip: false, ..with }, without);
        }
    }
}

//! Random numbers without state: every draw is a function of what it is for.
//!
//! A [`Stream`] is ChaCha8 (Bernstein 2008; 8 rounds, as in `rand_chacha`) whose 256-bit key *is* the identity of the
//! draw, field by field (see [`Stream::new`]). Two identities never share a key, so no mixing function has to be
//! trusted, no checkpoint saves a state, and none is replayed on resume: the crop of image 7 in epoch 3 is the same on
//! any rank, in any batch, in any order.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// What a stream is drawn for. The numbers are part of the key and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// First weights of a network; `sample` is the slot of the tensor.
    Weights = 1,
    /// Order of the images in an epoch.
    Order = 2,
    /// Crop, flip and colours of one view of one image.
    Augment = 3,
    /// Which images keep their label; `sample` is the class.
    Subset = 4,
    /// Which images the monitor uses (`sample` 0), and which labelled images are held out (`sample` is the class). These
    /// two share a key where the class is 0, but never in one job: one is of encoders, the other of classifiers. The images
    /// that pretraining holds out have `view` 1.
    Holdout = 5,
    /// The synthetic images; `sample` is the image, `view` is 0 for training and 1 for test.
    Shapes = 6,
    /// Starting points of attacks.
    AttackStart = 7,
    /// Dropped activations.
    Dropout = 8,
    /// Which images are attacked, and checked for masked gradients; `sample` is the class. The order of classes has `view` 1.
    Draw = 9,
}

/// The last bytes of every key; another layout of the key must have another mark.
const LAYOUT: [u8; 4] = *b"tdm1";

/// A sequence of random numbers that belongs to one (seed, purpose, epoch, sample, view).
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The key, little-endian: seed (8 bytes), purpose (4), epoch (4), sample (8), view (4), layout mark (4).
    pub fn new(seed: u64, purpose: Purpose, epoch: u32, sample: u64, view: u32) -> Self {
        let mut key = [0; 32];
        key[0..8].copy_from_slice(&seed.to_le_bytes());
        key[8..12].copy_from_slice(&(purpose as u32).to_le_bytes());
        key[12..16].copy_from_slice(&epoch.to_le_bytes());
        key[16..24].copy_from_slice(&sample.to_le_bytes());
        key[24..28].copy_from_slice(&view.to_le_bytes());
        key[28..32].copy_from_slice(&LAYOUT);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform on [0, 1), all 53 bits of the mantissa.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform on [low, high); `low` itself if they are equal.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with probability `p`: never at 0, always at 1.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Uniform on 0..n without bias (Lemire 2019, with rejection). `n` is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        debug_assert!(n > 0, "no number lies below 0");
        let threshold = n.wrapping_neg() % n.max(1);
        loop {
            let wide = u128::from(self.0.next_u64()) * u128::from(n);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Standard normal, Box and Muller's cosine branch: two uniforms a draw, so draws never depend on earlier ones.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Fisher-Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// 0..n in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn stream(sample: u64) -> Stream {
        Stream::new(1, Purpose::Augment, 0, sample, 0)
    }

    /// The published key layout, pinned: a change here changes every result anybody has stored.
    #[test]
    fn the_first_numbers_of_a_known_key_never_change() {
        let mut draws = Stream::new(42, Purpose::Order, 3, 7, 1);
        let mut again = ChaCha8Rng::from_seed([
            42, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b't', b'd', b'm', b'1',
        ]);
        for _ in 0..100 {
            assert_eq!(draws.0.next_u64(), again.next_u64());
        }
        assert_eq!(Stream::new(42, Purpose::Order, 3, 7, 1).permutation(8), PINNED);
    }

    const PINNED: [i64; 8] = [0, 3, 4, 7, 1, 6, 5, 2];

    #[test]
    fn each_part_of_the_key_gives_another_stream() {
        let first = |seed, purpose, epoch, sample, view| Stream::new(seed, purpose, epoch, sample, view).0.next_u64();
        let seen: HashSet<u64> = [
            first(1, Purpose::Augment, 1, 1, 1),
            first(2, Purpose::Augment, 1, 1, 1),
            first(1, Purpose::Order, 1, 1, 1),
            first(1, Purpose::Augment, 2, 1, 1),
            first(1, Purpose::Augment, 1, 2, 1),
            first(1, Purpose::Augment, 1, 1, 2),
        ]
        .into();
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn moments_of_uniform_and_normal() {
        let n = 200_000;
        let (mut uniform, mut normal) = ([0.0; 2], [0.0; 4]);
        let mut draws = stream(0);
        for _ in 0..n {
            let u = draws.uniform();
            assert!((0.0..1.0).contains(&u));
            uniform[0] += u;
            uniform[1] += u * u;
            let z = draws.normal();
            for (power, sum) in normal.iter_mut().enumerate() {
                *sum += z.powi(power as i32 + 1);
            }
        }
        let mean = |sum: f64| sum / f64::from(n);
        // Five standard errors of each mean.
        let near = |sum, expected: f64, variance: f64| {
            assert!((mean(sum) - expected).abs() < 5.0 * (variance / f64::from(n)).sqrt(), "{} {expected}", mean(sum));
        };
        near(uniform[0], 0.5, 1.0 / 12.0);
        near(uniform[1], 1.0 / 3.0, 4.0 / 45.0);
        near(normal[0], 0.0, 1.0);
        near(normal[1], 1.0, 2.0);
        near(normal[2], 0.0, 15.0);
        near(normal[3], 3.0, 96.0);
    }

    #[test]
    fn below_is_even_and_in_range() {
        let mut counts = [0u32; 7];
        let mut draws = stream(1);
        for _ in 0..70_000 {
            counts[draws.below(7) as usize] += 1;
        }
        let chi_squared: f64 = counts.iter().map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi_squared < 27.9, "{counts:?}: beyond the 0.9999 quantile for 6 degrees of freedom");
        assert_eq!(stream(2).below(1), 0);
    }

    #[test]
    fn a_permutation_holds_each_number_once_and_every_order_is_equally_likely() {
        let order = stream(3).permutation(1000);
        assert_eq!(order.iter().copied().collect::<HashSet<_>>().len(), 1000);
        assert!(order.iter().enumerate().any(|(i, &o)| i as i64 != o));
        let mut counts = std::collections::HashMap::new();
        for sample in 0..24_000 {
            *counts.entry(stream(sample).permutation(4)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi_squared: f64 = counts.values().map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi_squared < 58.6, "{chi_squared}: beyond the 0.9999 quantile for 23 degrees of freedom");
    }
}

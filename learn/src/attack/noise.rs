//! Random numbers of an image, and the random points where attacks begin. They are a function of the image's id, whatever
//! batch it is in.

use tandem_domain::spec::Norm;
use tch::{Device, Tensor};

use super::Batch;
use super::norm::{per_image, unit};
use crate::random::{Purpose, Stream};

/// Which draw of which attack: the last part of the random key.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoiseKey {
    /// The direction and the length of a start in a ball.
    Direction,
    Length,
    /// ProxLogBarrier's start, for each scale that is tried.
    Plb(u32),
    /// Where ProxLogBarrier's Newton steps begin after a restart.
    PlbNewton,
    /// FAB's start, for each target class.
    Fab(u32),
    /// FMN's start.
    Fmn,
    /// DDN's start.
    Ddn,
    /// All draws of Square for an image, in their order.
    Square,
}

impl NoiseKey {
    fn number(self) -> u32 {
        match self {
            Self::Direction => 0,
            Self::Length => 1,
            Self::Plb(attempt) => 0x1000_0000 + attempt,
            Self::Fab(target) => 0x2000_0000 + target,
            Self::PlbNewton => 2,
            Self::Square => 0x3000_0000,
            Self::Fmn => 0x4000_0000,
            Self::Ddn => 0x5000_0000,
        }
    }
}

/// The stream of one image in one restart.
pub(super) fn stream(seed: u64, restart: u32, id: i64, key: NoiseKey) -> Stream {
    Stream::new(seed, Purpose::AttackStart, restart, id as u64, key.number())
}

/// Standard normal f32 `[ids.len(), shape...]`, each row drawn by its id.
pub(super) fn normal(seed: u64, restart: u32, ids: &[i64], key: NoiseKey, shape: &[i64], device: Device) -> Tensor {
    fill(ids, shape, device, |id| stream(seed, restart, id, key), Stream::normal)
}

/// Where random starts lie if no distance is known yet: AutoAttack's radius for each norm, and for l0 the length in l1.
pub(super) fn far(norm: Norm) -> f64 {
    match norm {
        Norm::Linf => 0.3,
        Norm::L2 => 1.0,
        Norm::L0 | Norm::L1 => 5.0,
    }
}

/// A perturbation of each image, of length at most `radius`. In l2 direction and length are uniform, as in torchattacks (a
/// uniform point of a ball in 3072 dimensions would lie near its surface); in linf it is uniform in the cube.
pub(super) fn inside(batch: &Batch<'_>, norm: Norm, radius: f64, seed: u64, restart: u32) -> Tensor {
    let lengths: Vec<f32> =
        batch.ids.iter().map(|&id| stream(seed, restart, id, NoiseKey::Length).uniform() as f32).collect();
    let lengths = Tensor::from_slice(&lengths).to_device(batch.images.device());
    match norm {
        Norm::Linf => start(batch, seed, restart, |stream| stream.between(-1.0, 1.0)) * radius,
        _ => surface(batch, norm, radius, seed, restart) * per_image(&lengths),
    }
}

/// A perturbation of each image, of length `radius`. In l2 its direction is uniform; in linf it is uniform in the cube and
/// scaled to touch the surface, as in Auto-PGD.
pub(super) fn surface(batch: &Batch<'_>, norm: Norm, radius: f64, seed: u64, restart: u32) -> Tensor {
    match norm {
        Norm::Linf => {
            let noise = start(batch, seed, restart, |stream| stream.between(-1.0, 1.0));
            &noise / noise.abs().amax([1i64, 2, 3].as_slice(), true) * radius
        }
        _ => unit(&start(batch, seed, restart, Stream::normal)) * radius,
    }
}

/// The numbers of a start, in the shape of the batch's images.
fn start(batch: &Batch<'_>, seed: u64, restart: u32, draw: impl Fn(&mut Stream) -> f64) -> Tensor {
    let stream = |id| stream(seed, restart, id, NoiseKey::Direction);
    fill(batch.ids, &batch.images.size()[1..], batch.images.device(), stream, draw)
}

fn fill(
    ids: &[i64],
    shape: &[i64],
    device: Device,
    stream: impl Fn(i64) -> Stream,
    draw: impl Fn(&mut Stream) -> f64,
) -> Tensor {
    let count: i64 = shape.iter().product();
    let mut values = Vec::with_capacity(ids.len() * count as usize);
    for &id in ids {
        let mut stream = stream(id);
        values.extend((0..count).map(|_| draw(&mut stream) as f32));
    }
    let size: Vec<i64> = std::iter::once(ids.len() as i64).chain(shape.iter().copied()).collect();
    Tensor::from_slice(&values).view(size.as_slice()).to_device(device)
}

//! Random numbers of an image. They are a function of its id, whatever batch it is in.

use tch::{Device, Tensor};

use crate::random::{Purpose, Stream};

/// Which draw of which attack: the last part of the random key.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoiseKey {
    /// ProxLogBarrier's start, for each scale that is tried.
    Plb(u32),
    /// FAB's start, for each target class.
    Fab(u32),
    /// All draws of Square for an image, in their order.
    Square,
}

impl NoiseKey {
    fn key(self) -> u32 {
        match self {
            Self::Plb(attempt) => 0x1000_0000 + attempt,
            Self::Fab(target) => 0x2000_0000 + target,
            Self::Square => 0x3000_0000,
        }
    }
}

/// The stream of one image in one restart.
pub(super) fn stream(seed: u64, restart: u32, id: i64, draw: NoiseKey) -> Stream {
    Stream::new(seed, Purpose::AttackStart, restart, id as u64, draw.key())
}

/// Standard normal f32 `[ids.len(), shape...]`, each row drawn by its id.
pub(super) fn normal(seed: u64, restart: u32, ids: &[i64], draw: NoiseKey, shape: &[i64], device: Device) -> Tensor {
    let count: i64 = shape.iter().product();
    let mut values = Vec::with_capacity(ids.len() * count as usize);
    for &id in ids {
        let mut stream = stream(seed, restart, id, draw);
        values.extend((0..count).map(|_| stream.normal() as f32));
    }
    let size: Vec<i64> = std::iter::once(ids.len() as i64).chain(shape.iter().copied()).collect();
    Tensor::from_slice(&values).view(size.as_slice()).to_device(device)
}

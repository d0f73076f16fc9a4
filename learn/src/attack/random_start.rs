//! Random points in a ball where attacks begin. They are a function of the image's id, whatever batch it is in.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::Batch;
use super::norm::{per_image, unit};
use crate::random::{Purpose, Stream};

/// What is drawn. The numbers are part of the random key.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum StartDraw {
    Direction = 0,
    Length = 1,
}

/// A perturbation of each image, of length at most `radius`. In l2 direction and length are uniform, as in torchattacks (a
/// uniform point of a ball in 3072 dimensions would lie near its surface); in linf it is uniform in the cube.
pub fn inside(batch: &Batch<'_>, norm: Norm, radius: f64, seed: u64, restart: u32) -> Tensor {
    let lengths: Vec<f32> =
        batch.ids.iter().map(|&id| stream(seed, restart, id, StartDraw::Length).uniform() as f32).collect();
    let lengths = Tensor::from_slice(&lengths).to_device(batch.images.device());
    match norm {
        Norm::Linf => draw(batch, seed, restart, |stream| stream.between(-1.0, 1.0)) * radius,
        _ => surface(batch, norm, radius, seed, restart) * per_image(&lengths),
    }
}

/// A perturbation of each image, of length `radius`. In l2 its direction is uniform; in linf it is uniform in the cube and
/// scaled to touch the surface, as in Auto-PGD.
pub fn surface(batch: &Batch<'_>, norm: Norm, radius: f64, seed: u64, restart: u32) -> Tensor {
    match norm {
        Norm::Linf => {
            let noise = draw(batch, seed, restart, |stream| stream.between(-1.0, 1.0));
            &noise / noise.abs().amax([1i64, 2, 3].as_slice(), true) * radius
        }
        _ => unit(&draw(batch, seed, restart, Stream::normal)) * radius,
    }
}

/// f32 in the shape of the batch's images.
fn draw(batch: &Batch<'_>, seed: u64, restart: u32, mut value: impl FnMut(&mut Stream) -> f64) -> Tensor {
    let pixels = batch.images.numel() / batch.ids.len().max(1);
    let mut values = Vec::with_capacity(batch.images.numel());
    for &id in batch.ids {
        let mut stream = stream(seed, restart, id, StartDraw::Direction);
        values.extend((0..pixels).map(|_| value(&mut stream) as f32));
    }
    Tensor::from_slice(&values)
        .view(batch.images.size().as_slice())
        .to_device(batch.images.device())
        .to_kind(Kind::Float)
}

fn stream(seed: u64, restart: u32, id: i64, draw: StartDraw) -> Stream {
    Stream::new(seed, Purpose::AttackStart, restart, id as u64, draw as u32)
}

//! A network's features and outputs of plain images, computed by all ranks together.

use tandem_collective::ProcessGroup;
use tch::{Kind, Tensor};

use crate::data::Images;
use crate::encoder::Model;
use crate::failure::Failure;
use crate::progress;

/// Images of a block, whatever the number of ranks: kernels, and so bits, depend on it.
const BLOCK: usize = 500;

/// How images are shown to the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    AsIs,
    /// Left and right exchanged.
    Mirrored,
}

/// The encoder's features of the images `samples`, `[samples, F]` in their order, on every rank.
pub fn features(
    model: &Model,
    images: &Images,
    samples: &[i64],
    orientation: Orientation,
    group: &ProcessGroup,
) -> Result<Tensor, Failure> {
    features_by(|images| model.features(images), images, samples, orientation, group)
}

/// The head's outputs, `[samples, D]`, by the running statistics; otherwise as [`features`].
pub fn outputs(model: &Model, images: &Images, samples: &[i64], group: &ProcessGroup) -> Result<Tensor, Failure> {
    features_by(|images| tch::no_grad(|| model.evaluate(images)), images, samples, Orientation::AsIs, group)
}

/// As [`features`], for any function of images `[B, 3, H, W]` in [0, 1] to `[B, F]` that maps each image by itself.
pub fn features_by(
    encode: impl Fn(&Tensor) -> Tensor,
    images: &Images,
    samples: &[i64],
    orientation: Orientation,
    group: &ProcessGroup,
) -> Result<Tensor, Failure> {
    gathered(|samples| encode(&pixels(images, samples, orientation)), samples, group)
}

/// What `compute` makes of blocks of `samples`, a row `[F]` of each by itself: `[samples, F]` in their order, on every rank.
///
/// Ranks take blocks in turn. The last round is padded with repeats, which are dropped. Fails where a rank is lost.
pub fn gathered(compute: impl Fn(&[i64]) -> Tensor, samples: &[i64], group: &ProcessGroup) -> Result<Tensor, Failure> {
    let (rank, world_size) = (group.rank() as usize, group.world_size() as usize);
    let blocks: Vec<&[i64]> = samples.chunks(BLOCK).collect();
    let mut rounds = Vec::new();
    for round in blocks.chunks(world_size) {
        let own = round.get(rank).or(round.first()).copied().unwrap_or_default();
        let own = compute(own);
        progress::work_done();
        // All ranks must gather equal shapes; only the last block of all may be short.
        let missing = round.first().map_or(0, |first| first.len()) as i64 - own.size()[0];
        let own = if missing > 0 { own.constant_pad_nd([0, 0, 0, missing]) } else { own };
        rounds.push(group.all_gather(&own)?);
        progress::wait_done();
    }
    Ok(Tensor::cat(&rounds, 0).narrow(0, 0, samples.len() as i64))
}

/// Images without augmentation: f32 `[B, 3, H, W]` in [0, 1], channels-last in memory.
pub fn pixels(images: &Images, samples: &[i64], orientation: Orientation) -> Tensor {
    let samples = Tensor::from_slice(samples).to_device(images.pixels.device());
    let chosen = images.pixels.index_select(0, &samples).permute([0, 2, 3, 1]).contiguous();
    let chosen = match orientation {
        Orientation::AsIs => chosen,
        Orientation::Mirrored => chosen.flip([2]),
    };
    (chosen.to_kind(Kind::Float) / 255.0).permute([0, 3, 1, 2])
}

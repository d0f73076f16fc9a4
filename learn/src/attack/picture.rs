//! A picture of what an attack did: clean image, perturbed image, and their difference, amplified around grey.

use tch::Tensor;

use crate::sheet::sheet;

/// PNG with one column an image. `clean` and `perturbed` are f32 `[K, 3, H, W]` in [0, 1].
///
/// Each difference is shown as `0.5 + gain * difference`, with the gain that makes its largest element white or black. It
/// shows the shape of a difference at any radius, and not its size.
pub fn png(clean: &Tensor, perturbed: &Tensor) -> Result<Vec<u8>, image::ImageError> {
    let difference = perturbed - clean;
    let largest = difference.abs().amax([1i64, 2, 3].as_slice(), true).clamp_min(1e-12);
    let amplified = difference / largest * 0.5 + 0.5;
    let rows = [clean, perturbed, &amplified];
    sheet(&rows)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::sheet::{GAP, SCALE};

    #[test]
    fn every_part_is_where_and_what_it_should_be() {
        let clean = Tensor::zeros([2, 3, 2, 2], (Kind::Float, Device::Cpu)) + 0.2;
        let perturbed = clean.copy();
        // Red up at the top right of the second image, blue half as much down at its bottom left.
        let _ = perturbed.get(1).get(0).get(0).get(1).fill_(0.3);
        let _ = perturbed.get(1).get(2).get(1).get(0).fill_(0.15);
        let sheet = image::load_from_memory(&png(&clean, &perturbed).unwrap()).unwrap().to_rgb8();
        let cell = 2 * SCALE + GAP;
        assert_eq!(sheet.dimensions(), (2 * cell + GAP, 3 * cell + GAP));
        let at = |column: u32, row: u32, x: u32, y: u32| {
            sheet.get_pixel(GAP + column * cell + x * SCALE + 1, GAP + row * cell + y * SCALE + 1).0
        };
        assert_eq!((at(0, 0, 0, 0), at(1, 0, 1, 0)), ([51; 3], [51; 3]));
        assert_eq!((at(1, 1, 1, 0), at(1, 1, 0, 1), at(1, 1, 0, 0)), ([76, 51, 51], [51, 51, 38], [51; 3]));
        assert_eq!((at(0, 2, 1, 1), at(1, 2, 0, 0)), ([128; 3], [128; 3]), "no difference is grey");
        let (up, down) = (at(1, 2, 1, 0), at(1, 2, 0, 1));
        assert_eq!((up[0], up[1]), (255, 128));
        assert!(down[2].abs_diff(64) <= 1 && down[0] == 128, "{down:?}");
    }
}

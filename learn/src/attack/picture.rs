//! A picture of what an attack did: clean image, perturbed image, and their difference, amplified around grey.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

/// Side, in pixels of the picture, of one pixel of an image.
const SCALE: u32 = 4;
/// Pixels of white between images.
const GAP: u32 = 6;

/// PNG with one column an image. `clean` and `perturbed` are f32 `[K, 3, H, W]` in [0, 1].
///
/// Each difference is shown as `0.5 + gain * difference`, with the gain that makes its largest element white or black. It
/// shows the shape of a difference at any radius, and not its size.
pub fn png(clean: &Tensor, perturbed: &Tensor) -> Result<Vec<u8>, image::ImageError> {
    let difference = perturbed - clean;
    let largest = difference.abs().amax([1i64, 2, 3].as_slice(), true).clamp_min(1e-12);
    let amplified = difference / largest * 0.5 + 0.5;
    let rows = [clean, perturbed, &amplified].map(bytes);

    let [count, _, height, width] = size(clean);
    let (cell_width, cell_height) = (width * SCALE + GAP, height * SCALE + GAP);
    let mut sheet = RgbImage::from_pixel(count * cell_width + GAP, 3 * cell_height + GAP, Rgb([255; 3]));
    for (row, images) in (0..).zip(&rows) {
        for column in 0..count {
            let (left, top) = (GAP + column * cell_width, GAP + row * cell_height);
            for (y, x) in (0..height * SCALE).flat_map(|y| (0..width * SCALE).map(move |x| (y, x))) {
                let at = (column * height + y / SCALE) * width + x / SCALE;
                let at = 3 * at as usize;
                sheet.put_pixel(left + x, top + y, Rgb([images[at], images[at + 1], images[at + 2]]));
            }
        }
    }
    let mut png = Cursor::new(Vec::new());
    sheet.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// Bytes `[K, H, W, 3]`, rounded to the nearest.
fn bytes(images: &Tensor) -> Vec<u8> {
    let bytes = (images * 255.0).round().clamp(0.0, 255.0).to_kind(Kind::Uint8).to_device(Device::Cpu);
    Vec::try_from(bytes.permute([0, 2, 3, 1]).contiguous().flatten(0, -1)).unwrap_or_default()
}

fn size(images: &Tensor) -> [u32; 4] {
    <[i64; 4]>::try_from(images.size()).unwrap_or_default().map(|size| size as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

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

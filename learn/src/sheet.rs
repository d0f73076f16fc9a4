//! A sheet of images, as a picture for people.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

/// Side, in pixels of the picture, of one pixel of an image.
pub(crate) const SCALE: u32 = 4;
/// Pixels of white between images.
pub(crate) const GAP: u32 = 6;

/// PNG with these rows of images, each f32 `[K, 3, H, W]` in [0, 1], all of one size.
///
/// # Errors
/// If the picture cannot be encoded.
pub(crate) fn sheet(rows: &[&Tensor]) -> Result<Vec<u8>, image::ImageError> {
    let [count, _, height, width] = rows.first().map_or([0; 4], |row| size(row));
    let (cell_width, cell_height) = (width * SCALE + GAP, height * SCALE + GAP);
    let mut sheet =
        RgbImage::from_pixel(count * cell_width + GAP, rows.len() as u32 * cell_height + GAP, Rgb([255; 3]));
    for (row, images) in (0..).zip(rows.iter().map(|row| bytes(row))) {
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

//! `folder:NAME`: one sub-folder per class under `train/` and `test/`, as `listing` finds them.
//!
//! An image of another size is resized to 32x32 by a triangle filter, which does not keep its aspect ratio.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, ImageReader, imageops::FilterType};

use super::error::DataError;
use super::images::{IMAGE, PLANE, RawData, RawImages, SIDE, cores};
use super::{file, listing, whole};
use crate::progress;

pub(super) fn read(folder: &Path) -> Result<RawData, DataError> {
    let listing = listing::list(folder)?;
    Ok(RawData {
        train: read_half(listing.train)?,
        test: read_half(listing.test)?,
        classes: listing.classes.iter().map(|name| name.to_string_lossy().into_owned()).collect(),
        left_out: listing.left_out,
    })
}

fn read_half(listing::Half { files, labels }: listing::Half) -> Result<RawImages, DataError> {
    let mut pixels = vec![0; files.len() * IMAGE];
    let share = files.len().div_ceil(cores());
    std::thread::scope(|scope| {
        let parts = files.chunks(share).zip(pixels.chunks_mut(share * IMAGE));
        let threads: Vec<_> = parts
            .map(|(files, pixels)| {
                scope.spawn(|| files.iter().zip(pixels.chunks_exact_mut(IMAGE)).try_for_each(|(f, p)| decode(f, p)))
            })
            .collect();
        // In the order of the files, so that the same damaged file is named each time.
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(RawImages { pixels, labels })
}

fn decode(path: &Path, planes: &mut [u8]) -> Result<(), DataError> {
    // The whole file first: a disk that fails while an image is decoded would look like a damaged image.
    let bytes = file::read(path)?;
    if let Some(why) = whole::cut_off(&bytes) {
        return Err(DataError::CutOff { path: path.to_owned(), why });
    }
    let undecodable = |source| DataError::Decode { path: path.to_owned(), source };
    // By its content, not its extension: a JPEG named .png is common.
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let reader = reader.with_guessed_format().map_err(|error| undecodable(error.into()))?;
    let mut image = reader.decode().map_err(undecodable)?.into_rgb8();
    if image.dimensions() != (SIDE as u32, SIDE as u32) {
        image = image::imageops::resize(&image, SIDE as u32, SIDE as u32, FilterType::Triangle);
    }
    let (red, rest) = planes.split_at_mut(PLANE);
    let (green, blue) = rest.split_at_mut(PLANE);
    for (i, pixel) in image.pixels().enumerate() {
        [red[i], green[i], blue[i]] = pixel.0;
    }
    progress::work_done();
    Ok(())
}

#[cfg(test)]
mod tests;

//! `folder:NAME`: one sub-folder per class under `train/` and `test/`, as `listing` finds them.
//!
//! An image of another size is resized to 32x32 by a triangle filter, which does not keep its aspect ratio; where that changes
//! something, people are told.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, ImageReader, imageops::FilterType};

use super::error::DataError;
use super::images::{IMAGE, PLANE, RawData, RawImages, SIDE, cores};
use super::{file, listing, whole};
use crate::progress;

pub(super) fn read(folder: &Path) -> Result<RawData, DataError> {
    let listing = listing::list(folder)?;
    let mut squeezed = Squeezed::default();
    Ok(RawData {
        train: read_half(listing.train, &mut squeezed)?,
        test: read_half(listing.test, &mut squeezed)?,
        classes: listing.classes.iter().map(|name| name.to_string_lossy().into_owned()).collect(),
        left_out: listing.left_out,
        squeezed: squeezed.sentence(folder),
    })
}

/// Images that are not square, and the first of them with its width and height.
#[derive(Default)]
struct Squeezed {
    count: usize,
    first: Option<(PathBuf, [u32; 2])>,
}

impl Squeezed {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }

    fn sentence(&self, folder: &Path) -> Option<String> {
        let (path, [width, height]) = self.first.as_ref()?;
        let path = path.strip_prefix(folder).unwrap_or(path).display();
        let images = if self.count == 1 { "image is" } else { "images are" };
        Some(format!(
            "{} {images} not square and squeezed to {SIDE}x{SIDE}, the first {path} of {width}x{height}; cut them to squares \
             if their shapes matter",
            self.count
        ))
    }
}

fn read_half(listing::Half { files, labels }: listing::Half, squeezed: &mut Squeezed) -> Result<RawImages, DataError> {
    let mut pixels = vec![0; files.len() * IMAGE];
    let share = files.len().div_ceil(cores());
    std::thread::scope(|scope| {
        let parts = files.chunks(share).zip(pixels.chunks_mut(share * IMAGE));
        let threads: Vec<_> = parts.map(|(files, pixels)| scope.spawn(|| read_part(files, pixels))).collect();
        // In the order of the files, so that the same damaged file is named each time.
        threads.into_iter().try_for_each(|thread| {
            squeezed.add(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            Ok::<(), DataError>(())
        })
    })?;
    Ok(RawImages { pixels, labels })
}

fn read_part(files: &[PathBuf], pixels: &mut [u8]) -> Result<Squeezed, DataError> {
    let mut squeezed = Squeezed::default();
    for (path, pixels) in files.iter().zip(pixels.chunks_exact_mut(IMAGE)) {
        let [width, height] = decode(path, pixels)?;
        if width != height {
            squeezed.add(Squeezed { count: 1, first: Some((path.clone(), [width, height])) });
        }
    }
    Ok(squeezed)
}

/// Writes an image's planes; returns the width and height that it has in its file.
fn decode(path: &Path, planes: &mut [u8]) -> Result<[u32; 2], DataError> {
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
    let (width, height) = image.dimensions();
    if (width, height) != (SIDE as u32, SIDE as u32) {
        image = image::imageops::resize(&image, SIDE as u32, SIDE as u32, FilterType::Triangle);
    }
    let (red, rest) = planes.split_at_mut(PLANE);
    let (green, blue) = rest.split_at_mut(PLANE);
    for (i, pixel) in image.pixels().enumerate() {
        [red[i], green[i], blue[i]] = pixel.0;
    }
    progress::work_done();
    Ok([width, height])
}

#[cfg(test)]
mod tests;

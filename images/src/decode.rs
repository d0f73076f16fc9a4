//! Reads the images of a listing.
//!
//! An image of another size is resized to 32x32 by a triangle filter, which does not keep its aspect ratio; where that changes
//! something, people are told.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    thread,
};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, imageops::FilterType};

use crate::{
    Error, Worked,
    listing::{Half, Listing},
    raw::{Facts, IMAGE, PLANE, RawData, RawImages, SIDE, hasher, sha256},
    whole,
};

/// Images of one thread that are decoded before any is passed on: 0.8 MB of pixels.
const PART: usize = 256;

/// More than any camera's, and less than keeps a machine busy for long: a file of a few KB may claim any size.
const PIXELS_MAX: u64 = 1 << 26;

/// Reads all images.
///
/// # Errors
/// The first image, in the order of the listing, that cannot be read.
pub fn decode(listing: Listing, worked: Worked<'_>) -> Result<RawData, Error> {
    let mut squeezed = Squeezed::default();
    let mut half = |half: &Half| {
        let mut pixels = Vec::with_capacity(half.len() * IMAGE);
        let mut take = |path: &Path, size: Result<[u32; 2], Error>, planes: &[u8]| {
            squeezed.add(path, size?);
            pixels.extend_from_slice(planes);
            Ok(())
        };
        each(half, worked, &mut take)?;
        Ok(RawImages { pixels, labels: half.labels.clone() })
    };
    let (train, test) = (half(&listing.train)?, half(&listing.test)?);
    Ok(RawData {
        train,
        test,
        squeezed: squeezed.sentence(&listing.root),
        classes: names(&listing),
        left_out: listing.left_out,
    })
}

/// What reading all images of a data set showed.
#[derive(Debug)]
pub struct Checked {
    pub facts: Facts,
    /// A sentence for people on images that lose their aspect.
    pub squeezed: Option<String>,
    /// Images that cannot be read, in the order of the listing.
    pub problems: Vec<Error>,
}

/// Reads all images and keeps none: what is wrong, `most` problems at most, and what [`decode`] would make of the rest.
pub fn check(listing: &Listing, most: usize, worked: Worked<'_>) -> Checked {
    let (mut squeezed, mut problems) = (Squeezed::default(), Vec::new());
    let checksums = [&listing.train, &listing.test].map(|half| {
        let mut hasher = hasher(&half.labels);
        let mut take = |path: &Path, size: Result<[u32; 2], Error>, planes: &[u8]| {
            match size {
                Ok(size) => squeezed.add(path, size),
                Err(problem) => problems.push(problem),
            }
            hasher.update(planes);
            if problems.len() < most { Ok(()) } else { Err(()) }
        };
        // Enough is known where it was ended.
        let _ = each(half, worked, &mut take);
        hasher.finalize().to_hex().to_string()
    });
    let classes = names(listing);
    let facts = Facts {
        sha256: sha256(&classes, [&checksums[0], &checksums[1]]),
        classes: classes.len() as u64,
        train: listing.train.len() as u64,
        test: listing.test.len() as u64,
    };
    Checked { facts, squeezed: squeezed.sentence(&listing.root), problems }
}

fn names(listing: &Listing) -> Vec<String> {
    listing.classes.iter().map(|name| name.to_string_lossy().into_owned()).collect()
}

/// Decodes the images by all cores and passes them on in their order, each with its width and height, until one is refused.
fn each<E>(
    half: &Half,
    worked: Worked<'_>,
    take: &mut impl FnMut(&Path, Result<[u32; 2], Error>, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut pixels = vec![0; IMAGE * PART * cores];
    for first in (0..half.len()).step_by(PART * cores) {
        let here = &mut pixels[..IMAGE * (half.len() - first).min(PART * cores)];
        let sizes = thread::scope(|scope| {
            let parts = here.chunks_mut(PART * IMAGE).enumerate();
            let threads =
                parts.map(|(part, pixels)| scope.spawn(move || some(half, first + part * PART, pixels, worked)));
            let threads: Vec<_> = threads.collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect::<Vec<_>>()
        });
        for ((size, planes), path) in sizes.into_iter().zip(here.chunks_exact(IMAGE)).zip(&half.files[first..]) {
            take(path, size, planes)?;
        }
    }
    Ok(())
}

fn some(half: &Half, first: usize, pixels: &mut [u8], worked: Worked<'_>) -> Vec<Result<[u32; 2], Error>> {
    let decoded = pixels.chunks_exact_mut(IMAGE).enumerate().map(|(place, planes)| {
        // The whole file first: a disk that fails while an image is decoded would look like a damaged image.
        let size = half.read(first + place).and_then(|bytes| planes_of(&half.files[first + place], bytes, planes));
        worked();
        size
    });
    decoded.collect()
}

/// Writes an image's planes; returns the width and height that it has in its file.
fn planes_of(path: &Path, bytes: Vec<u8>, planes: &mut [u8]) -> Result<[u32; 2], Error> {
    if let Some(why) = whole::cut_off(&bytes) {
        return Err(Error::CutOff { path: path.to_owned(), why });
    }
    let undecodable = |source| Error::Decode { path: path.to_owned(), source };
    // By its content, not its extension: a JPEG named .png is common.
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let reader = reader.with_guessed_format().map_err(|error| undecodable(error.into()))?;
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > PIXELS_MAX {
        return Err(Error::Pixels { path: path.to_owned(), width, height, most: PIXELS_MAX });
    }
    decoder.set_limits(Limits::default()).map_err(undecodable)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(undecodable)?.into_rgb8();
    if (width, height) != (SIDE as u32, SIDE as u32) {
        image = image::imageops::resize(&image, SIDE as u32, SIDE as u32, FilterType::Triangle);
    }
    let (red, rest) = planes.split_at_mut(PLANE);
    let (green, blue) = rest.split_at_mut(PLANE);
    for (i, pixel) in image.pixels().enumerate() {
        [red[i], green[i], blue[i]] = pixel.0;
    }
    Ok([width, height])
}

/// Images that are not square, and the first of them with its width and height.
#[derive(Default)]
struct Squeezed {
    count: usize,
    first: Option<(PathBuf, [u32; 2])>,
}

impl Squeezed {
    fn add(&mut self, path: &Path, [width, height]: [u32; 2]) {
        if width != height {
            self.count += 1;
            self.first.get_or_insert_with(|| (path.to_owned(), [width, height]));
        }
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

#[cfg(test)]
mod tests;

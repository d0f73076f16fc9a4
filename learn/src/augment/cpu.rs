//! The CPU implementation: one image after another, from bytes to finished floats in first-level cache.

use super::{
    bilinear::Axis,
    colour::{Planes, shares},
    shift::{Shift, overlap},
    view::{Crop, View},
};
use crate::data::{IMAGE, PLANE, SIDE};

/// What is done to one image.
pub(super) trait Render: Sync {
    /// Writes the result of an image's `bytes` to `planes`, in [0, 1].
    fn render(&self, bytes: &[u8], planes: &mut Planes);
}

/// Applies `drawn[i]` to image i % n of the n in `bytes` (planes, [`IMAGE`] bytes each). Returns floats, row by row
/// with channels last. Images are independent, so that `threads` changes no bit.
pub(super) fn render(bytes: &[u8], drawn: &[impl Render], threads: usize) -> Vec<f32> {
    let mut out = vec![0.0; drawn.len() * IMAGE];
    let share = drawn.len().div_ceil(threads.max(1)).max(1);
    let mut parts = drawn.chunks(share).zip(out.chunks_mut(share * IMAGE)).enumerate();
    // The last part is this thread's own.
    let own = parts.next_back();
    let render_part = |(part, (drawn, out))| render_part(bytes, part * share, drawn, out);
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || render_part(part));
        }
        own.into_iter().for_each(render_part);
    });
    out
}

/// Renders `drawn`, of which the first is number `first` of all.
fn render_part(bytes: &[u8], first: usize, drawn: &[impl Render], out: &mut [f32]) {
    let images = bytes.chunks_exact(IMAGE).cycle().skip(first % (bytes.len() / IMAGE).max(1));
    let mut planes = Planes([[0.0; PLANE]; 3]);
    for ((image, drawn), out) in images.zip(drawn).zip(out.chunks_exact_mut(IMAGE)) {
        drawn.render(image, &mut planes);
        interleave(&planes, out);
    }
}

impl Render for View {
    fn render(&self, bytes: &[u8], planes: &mut Planes) {
        resize(bytes, self.crop, self.flip, planes);
        for jitter in self.jitter.into_iter().flatten() {
            planes.jitter(jitter);
        }
        if let Some(weights) = self.gray {
            planes.desaturate(shares(weights));
        }
    }
}

impl Render for Shift {
    fn render(&self, bytes: &[u8], planes: &mut Planes) {
        let (top, columns) = (overlap(self.down).start, overlap(self.right));
        // The first column of the image that is shown.
        let left = self.right.max(0) as usize;
        for (plane, out) in bytes.chunks_exact(PLANE).zip(&mut planes.0) {
            out.fill(0.0);
            let source = plane.chunks_exact(SIDE).skip(self.down.max(0) as usize);
            for (row, out) in source.zip(out.chunks_exact_mut(SIDE).skip(top)) {
                for (out, &byte) in out[columns.clone()].iter_mut().zip(row.iter().skip(left)) {
                    *out = f32::from(byte) / 255.0;
                }
            }
            if self.flip {
                out.chunks_exact_mut(SIDE).for_each(<[f32]>::reverse);
            }
        }
    }
}

/// Crop, enlarge and flip: first along the rows, which only the crop's own rows need, then along the columns.
fn resize(bytes: &[u8], crop: Crop, flip: bool, planes: &mut Planes) {
    let across = Axis::new(crop.left, crop.width, flip);
    let down = Axis::new(0, crop.height, false);
    let mut wide = [[0.0f32; SIDE]; SIDE];
    for (plane, out) in bytes.chunks_exact(PLANE).zip(&mut planes.0) {
        let rows = plane.chunks_exact(SIDE).skip(crop.top).take(crop.height);
        for (row, wide) in rows.zip(&mut wide) {
            let mut source = [0.0f32; SIDE];
            for (value, &byte) in source.iter_mut().zip(row) {
                *value = f32::from(byte) * (1.0 / 255.0);
            }
            for x in 0..SIDE {
                let (low, high) =
                    (source[usize::from(across.low[x]) % SIDE], source[usize::from(across.high[x]) % SIDE]);
                wide[x] = low + (high - low) * across.weight[x];
            }
        }
        for (y, out) in out.chunks_exact_mut(SIDE).enumerate() {
            let (low, high) = (&wide[usize::from(down.low[y]) % SIDE], &wide[usize::from(down.high[y]) % SIDE]);
            let weight = down.weight[y];
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                *out = low + (high - low) * weight;
            }
        }
    }
}

fn interleave(planes: &Planes, out: &mut [f32]) {
    let [red, green, blue] = &planes.0;
    for (((pixel, r), g), b) in out.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        pixel[0] = *r;
        pixel[1] = *g;
        pixel[2] = *b;
    }
}

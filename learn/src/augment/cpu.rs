//! The CPU execution: one image after another, from bytes to finished floats without leaving first-level cache.

use super::{
    bilinear::Axis,
    colour::Planes,
    view::{Crop, View},
};
use crate::data::{IMAGE, PLANE, SIDE};

/// `views[i]` is done to image i % n of the n in `bytes` (planes, [`IMAGE`] bytes each). Returns floats, row by row
/// with channels last. Images are independent, so `threads` changes no bit.
pub(super) fn render(bytes: &[u8], views: &[View], threads: usize) -> Vec<f32> {
    let mut out = vec![0.0; views.len() * IMAGE];
    let share = views.len().div_ceil(threads.max(1)).max(1);
    let mut parts = views.chunks(share).zip(out.chunks_mut(share * IMAGE)).enumerate();
    // The last part is this thread's own.
    let own = parts.next_back();
    let render_part = |(part, (views, out))| render_part(bytes, part * share, views, out);
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || render_part(part));
        }
        own.into_iter().for_each(render_part);
    });
    out
}

/// `views` are those from the `first` on.
fn render_part(bytes: &[u8], first: usize, views: &[View], out: &mut [f32]) {
    let images = bytes.chunks_exact(IMAGE).cycle().skip(first % (bytes.len() / IMAGE).max(1));
    let mut planes = Planes([[0.0; PLANE]; 3]);
    for ((image, view), out) in images.zip(views).zip(out.chunks_exact_mut(IMAGE)) {
        resize(image, view.crop, view.flip, &mut planes);
        for jitter in view.jitter.into_iter().flatten() {
            planes.jitter(jitter);
        }
        if view.gray {
            planes.lose_colour();
        }
        interleave(&planes, out);
    }
}

/// Crop, enlarge and flip: along the rows first, which only the crop's own rows need, then along the columns.
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

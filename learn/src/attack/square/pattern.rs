//! A square window in each image, and the pattern that Square puts into it in l2.

use tch::{Device, Kind, Tensor};

/// One square in each of K images, at a place of its own.
pub(super) struct Window {
    /// bool `[K, 1, H, W]`
    pub(super) inside: Tensor,
    /// i64 `[K, 1, H, W]`: the element of a flat `[side, side]` pattern that lies here; 0 outside.
    index: Tensor,
}

impl Window {
    /// `top` and `left` are i64 `[K, 1]`.
    pub(super) fn new(top: &Tensor, left: &Tensor, side: i64, [height, width]: [i64; 2]) -> Self {
        let offsets = |length: i64, from: &Tensor| Tensor::arange(length, (Kind::Int64, from.device())) - from;
        let (row, column) =
            (offsets(height, top).view([-1, 1, height, 1]), offsets(width, left).view([-1, 1, 1, width]));
        let within = |place: &Tensor| place.ge(0).logical_and(&place.lt(side));
        let inside = within(&row).logical_and(&within(&column));
        let index = (row * side + column) * &inside;
        Self { inside, index }
    }

    /// `pattern` `[side, side]` in each image's window, 0 outside: `[K, 1, H, W]`.
    pub(super) fn place(&self, pattern: &Tensor) -> Tensor {
        pattern.flatten(0, -1).index_select(0, &self.index.flatten(0, -1)).view_as(&self.index) * &self.inside
    }
}

/// A hill beside a valley (figure 3 of the paper), `[side, side]`, of l2 length 1. Each half is a sum of centred rectangles,
/// each a pixel larger to every side than the one before; the k-th weighs 1/k².
pub(super) fn bump(side: i64, device: Device) -> Tensor {
    let upper = side / 2;
    let mut values = hill(upper, side);
    values.extend(hill(side - upper, side).iter().map(|value| -value));
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= length);
    Tensor::from_slice(&values).view([side, side]).to_device(device)
}

/// `height` rows of `width`, of l2 length 1.
fn hill(height: i64, width: i64) -> Vec<f32> {
    let (middle_row, middle_column) = (height / 2, width / 2);
    let mut values: Vec<f32> = (0..height * width)
        .map(|at| {
            // The k-th rectangle (from 0) reaches k to each side of the middle.
            let first = (at / width - middle_row).abs().max((at % width - middle_column).abs());
            (first..=middle_row.max(middle_column)).map(|k| 1.0 / ((k + 1) * (k + 1)) as f32).sum()
        })
        .collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= length);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand from the published recurrence: 3 wide; the upper half one row, the lower one two rows.
    #[test]
    fn a_hill_and_a_valley_of_equal_weight() {
        let values: Vec<f32> = Vec::try_from(bump(3, Device::Cpu).view(-1)).unwrap();
        // One row, middle column 1: rectangles k = 0 and 1, so 0.25, 1.25, 0.25.
        let hill = [0.25f32, 1.25, 0.25];
        // Two rows, middle row 1: 0.25 everywhere, and 1 more in the middle of the lower row.
        let valley = [0.25f32, 0.25, 0.25, 0.25, 1.25, 0.25];
        let unit = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt() * std::f32::consts::SQRT_2;
        let expected = hill.map(|v| v / unit(&hill)).into_iter().chain(valley.map(|v| -v / unit(&valley)));
        for (ours, expected) in values.iter().zip(expected) {
            assert!((ours - expected).abs() < 1e-6, "{values:?}");
        }
    }

    #[test]
    fn a_pattern_lands_where_its_window_is() {
        let at = |values: &[i64]| Tensor::from_slice(values).view([-1, 1]);
        let window = Window::new(&at(&[0, 2]), &at(&[1, 0]), 2, [4, 3]);
        let placed = window.place(&Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]).view([2, 2]));
        let expected = [
            [0.0f32, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0],
        ];
        assert_eq!(Vec::<f32>::try_from(placed.view(-1)).unwrap(), expected.concat());
    }
}

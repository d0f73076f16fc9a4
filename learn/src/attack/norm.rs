//! Lengths of perturbations and the balls they are held in. A perturbation is `[B, 3, H, W]`; each row has its own length.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

/// By how much balls are made smaller, relative to the larger of the radius and 1, a pixel's range: `x + delta` is rounded
/// to f32, and the distance measured afterwards must not exceed the radius.
const ROUNDING: f64 = 1e-6;

/// `[B, ...]` to `[B, D]`.
pub fn rows(x: &Tensor) -> Tensor {
    x.flatten(1, -1)
}

/// `[B]` to `[B, 1, 1, 1]`, which broadcasts over images.
pub fn per_image(values: &Tensor) -> Tensor {
    values.view([-1, 1, 1, 1])
}

/// Length of each row, f32 `[B]`. l0 counts elements (a pixel has three), not pixels.
pub fn length(perturbation: &Tensor, norm: Norm) -> Tensor {
    let rows = rows(perturbation);
    let all = [1i64].as_slice();
    match norm {
        Norm::L0 => rows.ne(0.0).sum_dim_intlist(all, false, Kind::Float),
        Norm::L1 => rows.abs().sum_dim_intlist(all, false, Kind::Float),
        Norm::L2 => rows.norm_scalaropt_dim(2.0, all, false),
        Norm::Linf => rows.abs().amax(all, false),
    }
}

/// The nearest perturbation (in l2) of length at most `radius`, in l2 and linf. In l0 and l1 the perturbation itself.
pub fn project(perturbation: &Tensor, norm: Norm, radius: f64) -> Tensor {
    match norm {
        Norm::L2 => perturbation * per_image(&(radius / length(perturbation, norm).clamp_min(1e-30)).clamp_max(1.0)),
        Norm::Linf => perturbation.clamp(-radius, radius),
        Norm::L0 | Norm::L1 => perturbation.shallow_clone(),
    }
}

/// Nearest valid pixels.
pub fn clip(images: &Tensor) -> Tensor {
    images.clamp(0.0, 1.0)
}

/// `candidate` projected on the ball around `clean` and then clipped to [0, 1]. The order is the published one; clipping
/// moves towards `clean`, so the result stays in the ball.
pub fn project_and_clip(clean: &Tensor, candidate: &Tensor, norm: Norm, radius: f64) -> Tensor {
    let radius = (radius - ROUNDING * radius.max(1.0)).max(0.0);
    clip(&(clean + project(&(candidate - clean), norm, radius)))
}

/// Images scaled to length 1 in l2; zeros stay zeros. Scales by the largest element first, since the squares of a gradient
/// of 1e-25 are zeros in f32.
pub fn unit(images: &Tensor) -> Tensor {
    let scaled = images / per_image(&length(images, Norm::Linf).clamp_min(f64::from(f32::MIN_POSITIVE)));
    &scaled / per_image(&length(&scaled, Norm::L2).clamp_min(0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    fn images(values: &[f32], b: i64) -> Tensor {
        Tensor::from_slice(values).view([b, -1, 1, 1])
    }

    #[test]
    fn lengths_of_rows() {
        let x = images(&[3.0, 0.0, -4.0, 0.0, 0.0, 0.0, 0.0, -0.5], 2);
        for (norm, expected) in
            [(Norm::L0, [2.0, 1.0]), (Norm::L1, [7.0, 0.5]), (Norm::L2, [5.0, 0.5]), (Norm::Linf, [4.0, 0.5])]
        {
            assert_eq!(Vec::<f32>::try_from(length(&x, norm)).unwrap(), expected, "{norm:?}");
        }
    }

    #[test]
    fn a_projection_ends_on_the_ball_or_leaves_what_lies_inside() {
        let x = images(&[3.0, 4.0, 0.3, 0.4], 2);
        let l2 = project(&x, Norm::L2, 1.0);
        assert!(l2.allclose(&images(&[0.6, 0.8, 0.3, 0.4], 2), 1e-6, 0.0, false));
        assert!(project(&x, Norm::Linf, 0.35).equal(&images(&[0.35, 0.35, 0.3, 0.35], 2)));
        assert!(project(&x.zeros_like(), Norm::L2, 1.0).equal(&x.zeros_like()), "no 0/0");
    }

    #[test]
    fn a_unit_has_length_one_however_small_the_gradient() {
        let x = images(&[3e-30, 4e-30, 0.0, 0.0, 3e5, -4e5], 3);
        let expected = images(&[0.6, 0.8, 0.0, 0.0, 0.6, -0.8], 3);
        assert!(unit(&x).allclose(&expected, 1e-6, 0.0, false), "{}", unit(&x).flatten(0, -1));
    }

    /// Measured for many random points, radii and both norms.
    #[test]
    fn what_is_projected_and_clipped_lies_in_the_ball_and_in_the_range_of_pixels() {
        let mut stream = Stream::new(1, Purpose::Shapes, 0, 0, 0);
        let mut draw = |value: fn(&mut Stream) -> f64| {
            let values: Vec<f32> = (0..16 * 3 * 32 * 32).map(|_| value(&mut stream) as f32).collect();
            Tensor::from_slice(&values).view([16, 3, 32, 32])
        };
        let (clean, noise) = (draw(Stream::uniform), draw(Stream::normal));
        for norm in [Norm::L2, Norm::Linf] {
            for radius in [0.0, 1.0 / 255.0, 0.05, 0.5, 3.0, 40.0] {
                let far = &clean + &noise * (3.0 * radius + 0.01);
                let near = project_and_clip(&clean, &far, norm, radius);
                assert!(near.min().double_value(&[]) >= 0.0 && near.max().double_value(&[]) <= 1.0);
                let longest = length(&(near - &clean), norm).max().double_value(&[]);
                assert!(longest <= radius, "{norm:?} {radius}: {longest}");
            }
        }
    }
}

//! The nearest perturbation in a ball, where each image has a radius of its own.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

use super::norm::{length, per_image, rows};
use super::prox::project_l1;

/// The point of each row's ball that is nearest in l2; `perturbation` is `[B, 3, H, W]`, `radius` f32 `[B]`. In l0 the radius
/// counts elements, and those of the largest magnitude stay.
pub(super) fn project(perturbation: &Tensor, norm: Norm, radius: &Tensor) -> Tensor {
    match norm {
        Norm::L0 => largest(perturbation, radius),
        Norm::L1 => project_l1(&rows(perturbation), &radius.unsqueeze(1)).view_as(perturbation),
        Norm::L2 => {
            let shrink = radius / length(perturbation, norm).clamp_min(f64::from(f32::MIN_POSITIVE));
            perturbation * per_image(&shrink.clamp_max(1.0))
        }
        Norm::Linf => {
            let radius = per_image(radius);
            perturbation.minimum(&radius).maximum(&-&radius)
        }
    }
}

/// The `count` `[B]` elements of the largest magnitude of each row, zeros elsewhere. Of equal ones some stay, so that never
/// more than `count` do.
pub(super) fn largest(perturbation: &Tensor, count: &Tensor) -> Tensor {
    perturbation * top(&perturbation.abs(), count)
}

/// Which are the `count` f32 `[B]` largest elements of each row, bool. Of equal ones those that come first, whatever the other
/// rows of the batch are.
pub(super) fn top(values: &Tensor, count: &Tensor) -> Tensor {
    let rows = rows(values);
    let count = count.unsqueeze(1);
    let most = (count.max().double_value(&[]) as i64).clamp(1, rows.size()[1]);
    let (largest, _) = rows.topk(most, 1, true, true);
    let least = largest.gather(1, &(&count - 1.0).clamp(0.0, (most - 1) as f64).to_kind(Kind::Int64), false);
    let above = rows.gt_tensor(&least);
    let left = &count - above.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
    let equal = rows.eq_tensor(&least);
    let first = equal.cumsum(1, Kind::Float).le_tensor(&left).logical_and(&equal);
    above.logical_or(&first).view_as(values)
}

/// The longest perturbation of each image inside [0, 1], f32 `[B]`.
pub(super) fn longest(images: &Tensor, norm: Norm) -> Tensor {
    length(&images.maximum(&(images.ones_like() - images)), norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::test_targets::{random, values};

    /// Inside the ball, on its border if it was outside, and no random point of the ball is nearer.
    #[test]
    fn a_projection_is_the_nearest_point_of_the_ball() {
        let s = random(1, &[4, 3, 2, 2], -1.0, 1.0);
        for (norm, radii) in [
            (Norm::L0, [3.0f32, 1.0, 12.0, 0.0]),
            (Norm::L1, [1.5, 0.2, 50.0, 0.0]),
            (Norm::L2, [0.5, 0.1, 9.0, 0.0]),
            (Norm::Linf, [0.3, 0.05, 2.0, 0.0]),
        ] {
            let radius = Tensor::from_slice(&radii);
            let near = project(&s, norm, &radius);
            let (own, whole) = (values(&length(&near, norm)), values(&length(&s, norm)));
            for row in 0..4 {
                let expected = radii[row].min(whole[row]);
                assert!((own[row] - expected).abs() < 1e-5, "{norm:?}: {} for {expected}", own[row]);
            }
            let apart = values(&length(&(&near - &s), Norm::L2));
            for seed in 2..300 {
                let other = project(&(&near + random(seed, &[4, 3, 2, 2], -0.3, 0.3)), norm, &radius);
                let other = values(&length(&(other - &s), Norm::L2));
                assert!(apart.iter().zip(&other).all(|(a, o)| *a <= o + 1e-5), "{norm:?}: {apart:?} {other:?}");
            }
        }
    }

    #[test]
    fn equal_elements_never_make_more_than_the_count() {
        let near =
            largest(&Tensor::ones([2, 3, 2, 2], (Kind::Float, tch::Device::Cpu)), &Tensor::from_slice(&[5f32, 0.0]));
        assert_eq!(values(&length(&near, Norm::L0)), [5.0, 0.0]);
    }

    /// In a batch whose other row keeps hundreds of elements, libtorch finds the largest by another algorithm.
    #[test]
    fn equal_elements_are_the_same_ones_alone_and_in_any_batch() {
        let ties = (random(3, &[1, 3, 16, 16], 0.0, 4.0)).floor();
        let alone = top(&ties, &Tensor::from_slice(&[7f32]));
        let order = Vec::<i64>::try_from(alone.flatten(0, -1).nonzero().flatten(0, -1)).unwrap();
        let threes = Vec::<i64>::try_from(ties.flatten(0, -1).eq(3.0).nonzero().flatten(0, -1)).unwrap();
        assert_eq!(order, threes[..7], "those that come first");
        for other in [1f32, 100.0, 700.0] {
            let both = top(
                &Tensor::cat(&[&ties, &random(4, &[1, 3, 16, 16], 0.0, 1.0)], 0),
                &Tensor::from_slice(&[7f32, other]),
            );
            assert!(both.narrow(0, 0, 1).equal(&alone), "beside a row of {other}");
        }
    }
}

//! Proximal operators of the norms: prox(s) = argmin_w mu·‖w‖_p + ½‖w − s‖², row by row.
//!
//! With them ProxLogBarrier minimises norms that are not differentiable everywhere (Parikh & Boyd 2014, chapter 6).

use tandem_domain::spec::Norm;
use tch::Tensor;

/// The proximal operator of mu·‖·‖ on rows `s` `[B, n]`, each with its own weight: `mu` `[B, 1]`, at least 0.
///
/// - l0: an element stays if it is larger than √(2·mu), else it is 0.
/// - l1: every element moves by mu towards 0 and stops there.
/// - l2: the row shrinks by mu in length; shorter ones become 0.
/// - l∞: the largest elements are cut to one height, so far that they lose mu in total; a row whose ‖s‖₁ is not above
///   mu becomes 0.
pub fn prox(norm: Norm, s: &Tensor, mu: &Tensor) -> Tensor {
    match norm {
        Norm::L0 => s * s.square().gt_tensor(&(mu * 2.0)),
        Norm::L1 => soft_threshold(s, mu),
        Norm::L2 => {
            let length = s.square().sum_dim_intlist([1i64].as_slice(), true, None).sqrt();
            // If both are 0, so is the row.
            let kept = Tensor::ones_like(mu) - mu / length.clamp_min(f64::from(f32::MIN_POSITIVE));
            s * kept.clamp_min(0.0)
        }
        Norm::Linf => {
            // Moreau: s minus its projection on the ball of radius mu of the dual norm, l1.
            let height = excess(s, mu);
            s.minimum(&height).maximum(&-&height)
        }
    }
}

/// The point of the l1 ball of radius `radius` `[B, 1]` nearest to each row of `s` `[B, n]` (Duchi et al. 2008).
pub fn project_l1(s: &Tensor, radius: &Tensor) -> Tensor {
    soft_threshold(s, &excess(s, radius))
}

/// sign(s)·max(|s| − by, 0).
fn soft_threshold(s: &Tensor, by: &Tensor) -> Tensor {
    s.sign() * (s.abs() - by).clamp_min(0.0)
}

/// The threshold `[B, 1]` at which the soft-thresholded row has ‖·‖₁ = `radius`; 0 if the row's is smaller already.
///
/// It is (sum of the magnitudes above it − radius)/(their number). From below, each look at which are above raises it, until
/// they are the same as before (Michelot 1986): a few looks, where sorting a row of an image takes as long as fifty.
fn excess(s: &Tensor, radius: &Tensor) -> Tensor {
    let magnitudes = s.abs();
    // The largest alone, or all of them: neither is above the threshold.
    let alone = magnitudes.amax([1i64].as_slice(), true) - radius;
    let all = (magnitudes.sum_dim_intlist([1i64].as_slice(), true, s.kind()) - radius) / s.size()[1] as f64;
    let mut height = alone.maximum(&all).clamp_min(0.0);
    // Each look that raises a height leaves at least one magnitude less above it; numbers that are none end here, too.
    for _ in 0..=s.size()[1] {
        let above = magnitudes.gt_tensor(&height);
        let count = above.sum_dim_intlist([1i64].as_slice(), true, s.kind()).clamp_min(1.0);
        let sum = (&magnitudes * above).sum_dim_intlist([1i64].as_slice(), true, s.kind());
        let higher = height.maximum(&((sum - radius) / count));
        if higher.equal(&height) {
            break;
        }
        height = higher;
    }
    height
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    const NORMS: [Norm; 4] = [Norm::L0, Norm::L1, Norm::L2, Norm::Linf];

    fn row(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([1, -1])
    }

    fn length(norm: Norm, w: &[f64]) -> f64 {
        match norm {
            Norm::L0 => w.iter().filter(|&&x| x != 0.0).count() as f64,
            Norm::L1 => w.iter().map(|x| x.abs()).sum(),
            Norm::L2 => w.iter().map(|x| x * x).sum::<f64>().sqrt(),
            Norm::Linf => w.iter().fold(0.0, |a, x| a.max(x.abs())),
        }
    }

    /// The definition itself.
    fn objective(norm: Norm, w: &[f64], s: &[f64], mu: f64) -> f64 {
        mu * length(norm, w) + 0.5 * w.iter().zip(s).map(|(w, s)| (w - s).powi(2)).sum::<f64>()
    }

    /// The grid's best point within ±2 in every dimension; the grid holds 0.
    fn search(norm: Norm, s: &[f64], mu: f64, steps: i32) -> (Vec<f64>, f64) {
        let at = |i: i32| 2.0 * f64::from(i) / f64::from(steps);
        let mut best = (vec![0.0; s.len()], f64::INFINITY);
        let mut index = vec![-steps; s.len()];
        'all: loop {
            let w: Vec<f64> = index.iter().map(|&i| at(i)).collect();
            let value = objective(norm, &w, s, mu);
            if value < best.1 {
                best = (w, value);
            }
            for place in &mut index {
                *place += 1;
                if *place <= steps {
                    continue 'all;
                }
                *place = -steps;
            }
            return best;
        }
    }

    /// No point of the grid does better than the operator, and the grid's best is no further from it than the grid's
    /// step allows: both objectives are strongly convex but l0's, which is compared by value alone.
    fn check(norm: Norm, s: &[f64], mu: f64, steps: i32) {
        let w: Vec<f64> = Vec::try_from(prox(norm, &row(s), &row(&[mu])).view(-1)).unwrap();
        let ours = objective(norm, &w, s, mu);
        let (nearest, best) = search(norm, s, mu, steps);
        assert!(ours <= best + 1e-12, "{norm:?}, s {s:?}, mu {mu}: {w:?} gives {ours}, {nearest:?} gives {best}");
        let step = 2.0 / f64::from(steps);
        // A grid point within a step of the minimum exists in every direction; the objective's slope is below 6 here.
        assert!(best - ours < 6.0 * step, "{norm:?}, s {s:?}, mu {mu}: {ours} is below anything near {nearest:?}");
        if norm != Norm::L0 {
            let apart = w.iter().zip(&nearest).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            assert!(apart < (12.0 * step).sqrt(), "{norm:?}, s {s:?}, mu {mu}: {w:?} but {nearest:?}");
        }
    }

    /// Rows inside and outside the threshold of each norm, with ties, signs and zeros.
    #[test]
    fn each_is_the_minimum_of_its_definition_in_two_dimensions() {
        let rows = [[0.3, -0.4], [0.9, -0.1], [-1.5, 1.5], [1.2, 0.0], [-0.6, -1.4], [1.9, 0.2], [0.5, -1.3]];
        for norm in NORMS {
            for s in rows {
                for mu in [0.1, 0.5, 1.0, 2.0] {
                    check(norm, &s, mu, 250);
                }
            }
        }
    }

    #[test]
    fn each_is_the_minimum_of_its_definition_in_three_dimensions() {
        let rows = [[0.3, -0.4, 0.2], [1.0, -1.0, 1.0], [-1.7, 0.3, 0.9], [0.0, 1.1, -0.2], [0.5, 0.45, -1.6]];
        for norm in NORMS {
            for s in rows {
                for mu in [0.15, 0.7, 1.3] {
                    check(norm, &s, mu, 40);
                }
            }
        }
    }

    /// Each row by its own weight, and mu = 0 leaves a row alone.
    #[test]
    fn rows_do_not_depend_on_each_other() {
        tch::manual_seed(3);
        let s = Tensor::randn([5, 40], (Kind::Double, Device::Cpu));
        let mu = Tensor::from_slice(&[0.0, 0.1, 0.5, 2.0, 60.0]).view([5, 1]);
        for norm in NORMS {
            let together = prox(norm, &s, &mu);
            assert!(together.get(0).allclose(&s.get(0), 1e-14, 1e-14, false), "{norm:?}");
            for i in 0..5 {
                let alone = prox(norm, &s.narrow(0, i, 1), &mu.narrow(0, i, 1));
                assert!(together.narrow(0, i, 1).equal(&alone), "{norm:?} {i}");
            }
            let zero = Tensor::zeros([1, 40], (Kind::Float, Device::Cpu));
            assert!(prox(norm, &zero, &zero.narrow(1, 0, 1)).equal(&zero), "{norm:?}: 0 stays 0, never NaN");
        }
    }

    /// A point outside is projected on the surface, a point inside on itself; no point of the ball is nearer.
    #[test]
    fn the_projection_lands_on_the_ball_and_nothing_is_nearer() {
        tch::manual_seed(4);
        let s = Tensor::randn([6, 30], (Kind::Double, Device::Cpu));
        let radius = Tensor::from_slice(&[0.5, 1.0, 3.0, 8.0, 15.0, 1e3]).view([6, 1]);
        let p = project_l1(&s, &radius);
        let norms = p.abs().sum_dim_intlist([1i64].as_slice(), true, None);
        let expected = s.abs().sum_dim_intlist([1i64].as_slice(), true, None).minimum(&radius);
        assert!(norms.allclose(&expected, 1e-12, 1e-12, false));
        // Optimality: (s − p)·(y − p) ≤ 0 for every y of the ball; its corners are enough.
        let residual = &s - &p;
        let most = residual.abs().amax([1i64].as_slice(), true) * &radius;
        let held = (&residual * &p).sum_dim_intlist([1i64].as_slice(), true, None);
        assert!((most - held).max().double_value(&[]) < 1e-9);
    }
}

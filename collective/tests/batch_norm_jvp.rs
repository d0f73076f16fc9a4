//! BatchNorm along a direction against its formula, in float64.

use tandem_collective::BatchNorm;
use tch::{Device, Kind, Tensor};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
const TOLERANCE: f64 = 1e-11;

fn drawn(sizes: &[i64], seed: i64) -> Tensor {
    tch::manual_seed(seed);
    (Tensor::randn(sizes, DOUBLE) + 0.3).set_requires_grad(true)
}

#[test]
fn values_and_derivatives_are_those_of_autograd() {
    for sizes in [&[6, 3][..], &[4, 3, 5, 2][..]] {
        let [x, t] = [drawn(sizes, 1), drawn(sizes, 2)];
        let [scale, shift] = [drawn(&[3], 3), drawn(&[3], 4)];
        let [a, b] = [drawn(sizes, 5).detach(), drawn(sizes, 6).detach()];
        let running = || [Tensor::zeros([3], DOUBLE), Tensor::ones([3], DOUBLE)];
        let loss = |y: &Tensor, y_tangent: &Tensor| (y * &a + y_tangent * &b).sum(Kind::Double);
        let inputs = [&x, &t, &scale, &shift];

        let [mean, variance] = running();
        let norm = BatchNorm {
            scale: &scale,
            shift: &shift,
            running_mean: &mean,
            running_variance: &variance,
            momentum: 0.1,
            epsilon: 1e-3,
        };
        let (y, y_tangent) = norm.jvp(&x, &t).unwrap();
        let found = Tensor::run_backward(&[loss(&y, &y_tangent)], &inputs, false, false);

        // As one writes it down. Not by autograd's double backward pass of BatchNorm: that one holds the statistics fixed
        // when it is differentiated once more, and is wrong by x.
        let [textbook_mean, textbook_variance] = running();
        let dims: Vec<i64> = (0..x.dim() as i64).filter(|&dim| dim != 1).collect();
        let mut wide = vec![1; x.dim()];
        wide[1] = 3;
        let mean_of = |tensor: &Tensor| tensor.mean_dim(dims.as_slice(), true, None);
        let centred = &x - mean_of(&x);
        let inverse = (mean_of(&centred.square()) + 1e-3).rsqrt();
        let unit = centred * &inverse;
        let textbook = &unit * scale.view(&wide[..]) + shift.view(&wide[..]);
        let textbook_tangent = scale.view(&wide[..]) * inverse * (&t - mean_of(&t) - &unit * mean_of(&(&unit * &t)));
        let _ = x.batch_norm(
            Some(&scale),
            Some(&shift),
            Some(&textbook_mean),
            Some(&textbook_variance),
            true,
            0.1,
            1e-3,
            false,
        );
        let expected = Tensor::run_backward(&[loss(&textbook, &textbook_tangent)], &inputs, false, false);

        let largest = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(largest(&y, &textbook) < TOLERANCE, "{:e}", largest(&y, &textbook));
        assert!(largest(&y_tangent, &textbook_tangent) < TOLERANCE, "{:e}", largest(&y_tangent, &textbook_tangent));
        assert!(largest(&mean, &textbook_mean) < TOLERANCE && largest(&variance, &textbook_variance) < TOLERANCE);
        for ((found, expected), name) in found.iter().zip(&expected).zip(["x", "t", "scale", "shift"]) {
            assert!(expected.abs().max().double_value(&[]) > 1e-3, "{name} would prove nothing");
            assert!(largest(found, expected) < TOLERANCE, "{name}: {:e}", largest(found, expected));
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_an_error() {
    let [x, scale, mean] = [drawn(&[4, 3], 1), drawn(&[2], 2), Tensor::zeros([2], DOUBLE)];
    let norm = BatchNorm {
        scale: &scale,
        shift: &scale,
        running_mean: &mean,
        running_variance: &mean,
        momentum: 0.1,
        epsilon: 1e-3,
    };
    assert!(norm.jvp(&x, &x).is_err());
}

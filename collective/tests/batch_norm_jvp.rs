//! BatchNorm along a direction against its formula, in float64.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use tandem_collective::{BatchNorm, Then};
use tch::{Device, Kind, Tensor};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
const TOLERANCE: f64 = 1e-11;

fn drawn(sizes: &[i64], seed: i64) -> Tensor {
    tch::manual_seed(seed);
    (Tensor::randn(sizes, DOUBLE) + 0.3).set_requires_grad(true)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Nothing,
    Relu,
    AddRelu,
}

#[test]
fn values_and_derivatives_are_those_of_autograd() {
    // More than one part; channels that no vector divides; and three dimensions, which libtorch's operations take.
    for sizes in [&[6, 3][..], &[4, 3, 5, 2], &[5, 16, 33, 32], &[4, 3, 5]] {
        for after in [After::Nothing, After::Relu, After::AddRelu] {
            compare(sizes, after);
        }
    }
}

fn compare(sizes: &[i64], after: After) {
    let channels = sizes[1];
    let [x, t, residual, residual_tangent] = [1, 2, 7, 8].map(|seed| drawn(sizes, seed));
    let [scale, shift] = [drawn(&[channels], 3), drawn(&[channels], 4)];
    let [a, b] = [drawn(sizes, 5).detach(), drawn(sizes, 6).detach()];
    let running = || [Tensor::zeros([channels], DOUBLE), Tensor::ones([channels], DOUBLE)];
    let loss = |y: &Tensor, y_tangent: &Tensor| (y * &a + y_tangent * &b).sum(Kind::Double);
    let mut inputs = vec![&x, &t, &scale, &shift];
    if after == After::AddRelu {
        inputs.extend([&residual, &residual_tangent]);
    }

    let [mean, variance] = running();
    let norm = BatchNorm {
        scale: &scale,
        shift: &shift,
        running_mean: &mean,
        running_variance: &variance,
        momentum: 0.1,
        epsilon: 1e-3,
    };
    let then = match after {
        After::Nothing => Then::Nothing,
        After::Relu => Then::Relu,
        After::AddRelu => Then::AddRelu((&residual, &residual_tangent)),
    };
    let (y, y_tangent) = norm.jvp(&x, &t, then).unwrap();
    let found = Tensor::run_backward(&[loss(&y, &y_tangent)], &inputs, false, false);

    // As one writes it down. Not by autograd's double backward pass of BatchNorm: that one holds the statistics fixed
    // when it is differentiated once more, and is wrong by x.
    let [textbook_mean, textbook_variance] = running();
    let dims: Vec<i64> = (0..x.dim() as i64).filter(|&dim| dim != 1).collect();
    let mut wide = vec![1; x.dim()];
    wide[1] = channels;
    let mean_of = |tensor: &Tensor| tensor.mean_dim(dims.as_slice(), true, None);
    let centred = &x - mean_of(&x);
    let inverse = (mean_of(&centred.square()) + 1e-3).rsqrt();
    let unit = centred * &inverse;
    let mut textbook = &unit * scale.view(&wide[..]) + shift.view(&wide[..]);
    let mut textbook_tangent = scale.view(&wide[..]) * inverse * (&t - mean_of(&t) - &unit * mean_of(&(&unit * &t)));
    if after == After::AddRelu {
        (textbook, textbook_tangent) = (textbook + &residual, textbook_tangent + &residual_tangent);
    }
    if after != After::Nothing {
        let open = textbook.detach().gt(0.0).to_kind(Kind::Double);
        (textbook, textbook_tangent) = (textbook * &open, textbook_tangent * &open);
    }
    let [textbook_running, textbook_variance] = [&textbook_mean, &textbook_variance].map(Some);
    let _ = x.batch_norm(Some(&scale), Some(&shift), textbook_running, textbook_variance, true, 0.1, 1e-3, false);
    let expected = Tensor::run_backward(&[loss(&textbook, &textbook_tangent)], &inputs, false, false);

    let case = format!("{sizes:?} {after:?}");
    let largest = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
    assert!(largest(&y, &textbook) < TOLERANCE, "{case}: {:e}", largest(&y, &textbook));
    assert!(largest(&y_tangent, &textbook_tangent) < TOLERANCE, "{case}: {:e}", largest(&y_tangent, &textbook_tangent));
    let moved = [(&mean, textbook_running), (&variance, textbook_variance)];
    assert!(moved.iter().all(|(own, other)| largest(own, other.unwrap()) < TOLERANCE), "{case}: running statistics");
    let names = ["x", "t", "scale", "shift", "the residual", "its tangent"];
    for ((found, expected), name) in found.iter().zip(&expected).zip(names) {
        let size = expected.abs().max().double_value(&[]);
        assert!(size > 1e-3, "{case}: {name} would prove nothing");
        let error = largest(found, expected) / size.max(1.0);
        assert!(error < TOLERANCE, "{case}: by {name}: {error:e}");
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
    assert!(norm.jvp(&x, &x, Then::Nothing).is_err());
}

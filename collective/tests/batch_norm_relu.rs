//! BatchNorm with ReLU and with a residual, against libtorch's own operations, one by one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use tandem_collective::{BatchNorm, Then};
use tch::{Device, Kind, Tensor};

const EPSILON: f64 = 1e-5;

/// As of the real nets, and: one image, one row of pixels, channels that no vector divides, more than one part. Three
/// dimensions take libtorch's operations.
const SHAPES: [&[i64]; 9] = [
    &[4, 16, 32, 32],
    &[3, 64, 9, 7],
    &[2, 512, 4, 4],
    &[1, 5, 3, 3],
    &[6, 17, 1, 5],
    &[40, 1, 30, 31],
    &[64, 128],
    &[5, 3],
    &[4, 6, 11],
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Nothing,
    Relu,
    AddRelu,
}

struct Case {
    x: Tensor,
    residual: Tensor,
    scale: Tensor,
    shift: Tensor,
    running: [Tensor; 2],
    /// The derivative of the loss by the result.
    a: Tensor,
}

/// Numbers without torch's generator, which other tests share.
fn waves(sizes: &[i64], phase: f64) -> Tensor {
    let steps = Tensor::arange(sizes.iter().product::<i64>(), (Kind::Double, Device::Cpu));
    ((&steps * 1.7 + phase).sin() + (steps * 0.31 - phase).cos()).reshape(sizes)
}

impl Case {
    fn new(sizes: &[i64], kind: Kind, channels_last: bool) -> Self {
        let channels = &sizes[1..2];
        let leaf = |tensor: Tensor| tensor.to_kind(kind).set_requires_grad(true);
        let image = |phase: f64| {
            let image = waves(sizes, phase);
            // The same numbers, whichever way they lie.
            if channels_last && sizes.len() == 4 {
                return image.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            }
            image
        };
        Self {
            x: leaf(image(0.3) * 1.5 + 0.7),
            residual: leaf(image(1.1)),
            scale: leaf(waves(channels, 0.2) * 0.4 + 1.0),
            shift: leaf(waves(channels, 2.0) * 0.5),
            running: [waves(channels, 4.0).to_kind(kind), (waves(channels, 5.0) * 0.2 + 1.0).to_kind(kind)],
            a: image(6.0).to_kind(kind),
        }
    }

    fn in_double(&self) -> Self {
        let wide = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        let leaf = |tensor: &Tensor| wide(tensor).set_requires_grad(true);
        Self {
            x: leaf(&self.x),
            residual: leaf(&self.residual),
            scale: leaf(&self.scale),
            shift: leaf(&self.shift),
            running: [wide(&self.running[0]).copy(), wide(&self.running[1]).copy()],
            a: wide(&self.a),
        }
    }

    fn norm(&self) -> BatchNorm<'_> {
        let [running_mean, running_variance] = &self.running;
        let (scale, shift) = (&self.scale, &self.shift);
        BatchNorm { scale, shift, running_mean, running_variance, momentum: 0.1, epsilon: EPSILON }
    }

    fn fused(&self, after: After) -> Tensor {
        let then = match after {
            After::Nothing => Then::Nothing,
            After::Relu => Then::Relu,
            After::AddRelu => Then::AddRelu(&self.residual),
        };
        self.norm().normalise(&self.x, then).unwrap()
    }

    fn one_by_one(&self, after: After) -> Tensor {
        let [scale, shift, mean, variance] = [&self.scale, &self.shift, &self.running[0], &self.running[1]].map(Some);
        let y = self.x.batch_norm(scale, shift, mean, variance, true, 0.1, EPSILON, false);
        match after {
            After::Nothing => y,
            After::Relu => y.relu(),
            After::AddRelu => (y + &self.residual).relu(),
        }
    }

    /// y, the running statistics after it, and the derivatives of <y, a> by all inputs.
    fn all(&self, y: &Tensor, after: After) -> Vec<Tensor> {
        let mut inputs = vec![&self.x, &self.scale, &self.shift];
        if after == After::AddRelu {
            inputs.push(&self.residual);
        }
        let gradients = Tensor::run_backward(&[(y * &self.a).sum(self.a.kind())], &inputs, false, false);
        let [mean, variance] = &self.running;
        [y.detach(), mean.copy(), variance.copy()].into_iter().chain(gradients).collect()
    }
}

const NAMES: [&str; 7] = ["y", "running mean", "running variance", "by x", "by scale", "by shift", "by residual"];

fn each_case(check: impl Fn(&[i64], bool, After)) {
    for sizes in SHAPES {
        for channels_last in [false, true] {
            for after in [After::Nothing, After::Relu, After::AddRelu] {
                check(sizes, channels_last, after);
            }
        }
    }
}

fn length(x: &Tensor) -> f64 {
    x.to_kind(Kind::Double).norm().double_value(&[])
}

/// By length: in f32 one of many elements may round to the other side of ReLU.
fn error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    length(&(found.to_kind(Kind::Double) - expected)) / length(expected).max(1e-3)
}

/// The reference is in double, from numbers rounded to `kind`.
fn agree(kind: Kind, tolerance: f64) {
    each_case(|sizes, channels_last, after| {
        let ours = Case::new(sizes, kind, channels_last);
        let theirs = ours.in_double();
        let found = ours.all(&ours.fused(after), after);
        let expected = theirs.all(&theirs.one_by_one(after), after);
        for ((found, expected), name) in found.iter().zip(&expected).zip(NAMES) {
            let error = error(found, expected);
            assert!(error < tolerance, "{sizes:?}, channels last: {channels_last}, {after:?}: {name}: {error:e}");
        }
    });
}

#[test]
fn values_statistics_and_derivatives_are_libtorchs() {
    agree(Kind::Double, 1e-10);
    agree(Kind::Float, 1e-5);
}

/// BatchNorm's sums are the place where a mean far from zero costs digits.
#[test]
fn a_large_mean_costs_no_digits() {
    let shifted = |case: Case| Case { x: (case.x.detach() + 1000.0).set_requires_grad(true), ..case };
    let ours = shifted(Case::new(&[4, 16, 32, 32], Kind::Float, true));
    let theirs = ours.in_double();
    let found = ours.norm().normalise(&ours.x, Then::Nothing).unwrap();
    let expected = theirs.one_by_one(After::Nothing);
    let libtorchs = ours.one_by_one(After::Nothing);
    let (own, libtorchs) = (error(&found, &expected), error(&libtorchs, &expected));
    assert!(own < 1e-4 && own <= libtorchs, "{own:e}, libtorch {libtorchs:e}");
}

#[test]
fn bits_do_not_depend_on_threads() {
    let before = tch::get_num_threads();
    each_case(|sizes, channels_last, after| {
        let run = |threads: i32| {
            tch::set_num_threads(threads);
            let case = Case::new(sizes, Kind::Float, channels_last);
            case.all(&case.fused(after), after)
        };
        let one = run(1);
        for threads in [2, 3, 4] {
            let equal = one.iter().zip(&run(threads)).all(|(one, other)| one.equal(other));
            assert!(equal, "{sizes:?}, {after:?}: {threads} threads");
        }
    });
    tch::set_num_threads(before);
}

/// d<dL/dx, v> by all inputs, as a network without a forward derivative needs it for the exact penalty.
#[test]
fn second_derivatives_are_those_of_libtorch() {
    each_case(|sizes, channels_last, after| {
        let second = |case: &Case, y: &Tensor| {
            let loss = (y.square() * &case.a).sum(Kind::Double);
            let g = Tensor::run_backward(&[loss], &[&case.x], true, true).remove(0);
            let v = waves(sizes, 7.0);
            let inputs = [&case.x, &case.scale, &case.shift];
            Tensor::run_backward(&[(g * v).sum(Kind::Double)], &inputs, false, false)
        };
        let case = || Case::new(sizes, Kind::Double, channels_last);
        let (ours, theirs) = (case(), case());
        let (found, expected) = (second(&ours, &ours.fused(after)), second(&theirs, &theirs.one_by_one(after)));
        for ((found, expected), name) in found.iter().zip(&expected).zip(["x", "scale", "shift"]) {
            let error = error(found, expected);
            assert!(error < 1e-9, "{sizes:?}, {after:?}: by {name}: {error:e}");
        }
    });
}

/// A step looks for it in the loss and in the gradient.
#[test]
fn what_is_not_a_number_stays_so() {
    let case = Case::new(&[4, 16, 8, 8], Kind::Float, true);
    let _ = tch::no_grad(|| case.x.get(1).get(3).get(2).get(2).fill_(f64::NAN));
    for after in [After::Nothing, After::Relu, After::AddRelu] {
        let found = case.all(&case.fused(after), after);
        // The shift's and the residual's do not depend on values.
        for (tensor, name) in found.iter().zip(NAMES).take(5) {
            assert!(tensor.isnan().any().int64_value(&[]) == 1, "{after:?}: {name} hides it");
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_an_error() {
    let case = Case::new(&[4, 3, 5, 5], Kind::Float, true);
    let other = Case::new(&[4, 5, 3, 3], Kind::Float, true);
    assert!(case.norm().normalise(&other.x, Then::Relu).is_err());
    let error = case.norm().normalise(&case.x, Then::AddRelu(&other.residual)).unwrap_err();
    assert!(error.to_string().contains("residual is [4, 5, 3, 3], not [4, 3, 5, 5]"), "{error}");
}

//! The convolution's derivatives against libtorch's own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use tandem_collective::convolution;
use tch::{Device, Kind, Tensor};

struct Shape {
    x: [i64; 4],
    outputs: i64,
    kernel: i64,
    stride: i64,
    padding: i64,
}

const fn shape(x: [i64; 4], outputs: i64, kernel: i64, stride: i64, padding: i64) -> Shape {
    Shape { x, outputs, kernel, stride, padding }
}

/// As of the real nets, and: more images than patches at a time, maps that are no square, a stride that leaves a border, a
/// kernel larger than its image, one without padding, one of a single pixel, a large map.
const SHAPES: [Shape; 9] = [
    shape([4, 256, 8, 8], 256, 3, 1, 1),
    shape([4, 256, 8, 8], 512, 3, 2, 1),
    shape([70, 512, 4, 4], 32, 3, 1, 1),
    shape([3, 5, 9, 7], 6, 3, 2, 1),
    shape([2, 3, 4, 5], 4, 7, 2, 3),
    shape([3, 4, 8, 8], 5, 3, 1, 0),
    shape([5, 17, 1, 1], 3, 3, 1, 1),
    shape([3, 8, 8, 8], 6, 1, 2, 0),
    shape([2, 3, 32, 32], 16, 3, 1, 1),
];

/// Numbers without torch's generator, which other tests share.
fn waves(sizes: &[i64], phase: f64, kind: Kind) -> Tensor {
    let steps = Tensor::arange(sizes.iter().product::<i64>(), (Kind::Double, Device::Cpu));
    ((&steps * 1.7 + phase).sin() + (steps * 0.31 - phase).cos()).reshape(sizes).to_kind(kind)
}

fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

fn libtorch(x: &Tensor, weight: &Tensor, shape: &Shape) -> Tensor {
    x.conv2d(weight, None::<Tensor>, [shape.stride; 2], [shape.padding; 2], [1; 2], 1)
}

fn ours(x: &Tensor, weight: &Tensor, shape: &Shape) -> Tensor {
    convolution(x, weight, shape.stride, shape.padding).unwrap()
}

/// Value and derivatives by x and weight, of the sum of y times fixed numbers.
fn derivatives(run: impl Fn(&Tensor, &Tensor, &Shape) -> Tensor, shape: &Shape, kind: Kind, last: bool) -> Vec<Tensor> {
    let leaf = |x: Tensor| if last { channels_last(&x) } else { x }.set_requires_grad(true);
    let x = leaf(waves(&shape.x, 0.3, kind));
    let weight = leaf(waves(&[shape.outputs, shape.x[1], shape.kernel, shape.kernel], 1.1, kind));
    let y = run(&x, &weight, shape);
    let loss = (&y * waves(&y.size(), 2.3, kind)).sum(kind);
    let mut found = Tensor::run_backward(&[loss], &[&x, &weight], false, false);
    found.insert(0, y.detach());
    found
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let scale = b.abs().max().double_value(&[]).max(1e-30);
    (a - b).abs().max().double_value(&[]) / scale
}

/// To rounding: the terms are added in another order.
#[test]
fn derivatives_are_libtorchs() {
    for (kind, tolerance) in [(Kind::Double, 1e-12), (Kind::Float, 2e-5)] {
        for shape in &SHAPES {
            for last in [false, true] {
                let expected = derivatives(libtorch, shape, kind, last);
                for (name, (a, b)) in
                    ["y", "dx", "dw"].iter().zip(derivatives(ours, shape, kind, last).iter().zip(&expected))
                {
                    let apart = apart(a, b);
                    assert!(apart <= tolerance, "{name} of {:?}, {kind:?}: {apart:.1e} apart", shape.x);
                }
            }
        }
    }
}

/// The first derivative by x is multiplied with numbers, and that derived by the weight: as the penalty of eq. (3) is.
#[test]
fn second_derivatives_are_libtorchs() {
    for shape in &SHAPES {
        let second = |run: fn(&Tensor, &Tensor, &Shape) -> Tensor| {
            let x = waves(&shape.x, 0.3, Kind::Double).set_requires_grad(true);
            let weight = waves(&[shape.outputs, shape.x[1], shape.kernel, shape.kernel], 1.1, Kind::Double);
            let weight = weight.set_requires_grad(true);
            let loss = run(&x, &weight, shape).square().sum(Kind::Double);
            let by_x = Tensor::run_backward(&[loss], &[&x], true, true).remove(0);
            let along = (by_x * waves(&shape.x, 2.3, Kind::Double)).sum(Kind::Double);
            Tensor::run_backward(&[along], &[&weight], false, false).remove(0)
        };
        let apart = apart(&second(ours), &second(libtorch));
        assert!(apart <= 1e-12, "{:?}: {apart:.1e} apart", shape.x);
    }
}

#[test]
fn shapes_that_do_not_fit_are_an_error() {
    let weight = waves(&[4, 3, 3, 3], 0.0, Kind::Float).set_requires_grad(true);
    assert!(convolution(&waves(&[2, 5, 4, 4], 0.0, Kind::Float), &weight, 1, 1).is_err());
}

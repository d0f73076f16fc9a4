use super::super::test_targets::{Convolutional, Linear, Sample, random, values};
use super::*;

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

fn length(norm: Norm, d: &[f64]) -> f64 {
    match norm {
        Norm::L1 => d.iter().map(|x| x.abs()).sum(),
        Norm::L2 => d.iter().map(|x| x * x).sum::<f64>().sqrt(),
        _ => d.iter().fold(0.0, |a, x| a.max(x.abs())),
    }
}

/// Shortest d on a grid over the first two coordinates of the cube; the third follows from the hyperplane.
fn search(norm: Norm, point: [f64; 3], w: [f64; 3], gap: f64) -> Option<f64> {
    let steps = 400;
    let mut best: Option<f64> = None;
    for i in 0..=steps {
        for j in 0..=steps {
            let d = [i, j].map(|k| f64::from(k) / f64::from(steps));
            let d = [d[0] - point[0], d[1] - point[1]];
            let last = (gap - w[0] * d[0] - w[1] * d[1]) / w[2];
            if (-1e-12..=1.0 + 1e-12).contains(&(point[2] + last)) {
                let length = length(norm, &[d[0], d[1], last]);
                best = Some(best.map_or(length, |best| best.min(length)));
            }
        }
    }
    best
}

fn solve(norm: Norm, point: &[f64], w: &[f64], gap: f64) -> Vec<f64> {
    let row = |values: &[f64]| Tensor::from_slice(values).view([1, -1]);
    Vec::try_from(shortest(norm, &row(point), &row(w), &Tensor::from_slice(&[gap])).view(-1)).unwrap()
}

/// With room, against a side of the cube, with a coordinate already on it, and for both signs of the gap.
#[test]
fn the_way_to_the_hyperplane_is_the_shortest_inside_the_cube() {
    let cases = [
        ([0.5, 0.5, 0.5], [1.0, -2.0, 0.5], 0.3),
        ([0.9, 0.2, 0.4], [1.0, 0.3, -0.4], 0.4),
        ([0.9, 0.2, 0.4], [1.0, 0.3, -0.4], -0.9),
        ([1.0, 0.0, 0.3], [2.0, -1.0, 0.7], 0.4),
        ([0.1, 0.8, 0.95], [0.2, 1.5, 1.0], 0.35),
        ([0.25, 0.6, 0.7], [-1.0, 0.9, 0.8], 0.7),
    ];
    for norm in NORMS {
        for (point, w, gap) in cases {
            let d = solve(norm, &point, &w, gap);
            let reached: f64 = d.iter().zip(w).map(|(d, w)| d * w).sum();
            assert!((reached - gap).abs() < 1e-9, "{norm:?} {point:?}: on the hyperplane, {reached} for {gap}");
            assert!(d.iter().zip(point).all(|(d, p)| (-1e-12..=1.0 + 1e-12).contains(&(p + d))), "{norm:?} {d:?}");
            let best = search(norm, point, w, gap).unwrap();
            let ours = length(norm, &d);
            assert!(ours <= best + 1e-9 && ours > best - 0.02, "{norm:?} {point:?} {w:?} {gap}: {ours}, grid {best}");
        }
    }
}

#[test]
fn a_hyperplane_beyond_the_cube_leads_to_its_nearest_corner_and_zeros_stay() {
    for norm in NORMS {
        let d = solve(norm, &[0.25, 0.5, 0.75], &[1.0, 0.0, -1.0], 9.0);
        assert!((d[0] - 0.75).abs() < 1e-12 && d[1] == 0.0 && (d[2] + 0.75).abs() < 1e-12, "{norm:?}: {d:?}");
        assert_eq!(solve(norm, &[0.25, 0.5, 0.75], &[0.0; 3], 1.0), [0.0; 3]);
    }
}

/// As many elements as an image has, in f32: on the hyperplane, in the cube, no shorter way by the dual norm's bound.
#[test]
fn and_for_whole_images() {
    let point = random(1, &[4, 3072], 0.0, 1.0);
    let w = random(2, &[4, 3072], -1.0, 1.0);
    let gap = Tensor::from_slice(&[0.5f32, -3.0, 40.0, -200.0]);
    for norm in NORMS {
        let d = shortest(norm, &point, &w, &gap);
        let moved = &point + &d;
        assert!(moved.min().double_value(&[]) > -1e-6 && moved.max().double_value(&[]) < 1.0 + 1e-6);
        let reached = (&w * &d).sum_dim_intlist(1i64, false, Kind::Float);
        assert!(reached.allclose(&gap, 1e-4, 1e-4, false), "{norm:?}: {reached}");
    }
}

fn checked(net: &dyn Target, sample: &Sample, norm: Norm, settings: &Settings) -> Vec<f32> {
    let found = run(net, &sample.batch(), norm, settings);
    let wrong = target::misclassified(&target::logits(net, &found.images), &sample.labels);
    assert!(wrong.equal(&found.distance.isfinite()), "{norm:?}");
    assert!(found.images.min().double_value(&[]) >= 0.0 && found.images.max().double_value(&[]) <= 1.0);
    let measured = norm::length(&(&found.images - &sample.images), norm);
    assert!(measured.masked_fill(&wrong.logical_not(), f64::INFINITY).allclose(&found.distance, 1e-6, 1e-7, false));
    values(&found.distance)
}

/// Exact to 1e-3 and never below.
#[test]
fn on_a_linear_classifier_the_distance_is_the_closed_form() {
    let net = Linear::new(5);
    let sample = Sample::of(&net, 6, 8);
    let by_norm = |dual| net.distance(&sample.images, &sample.labels, dual);
    for (norm, truth) in [(Norm::L2, by_norm(2.0)), (Norm::Linf, by_norm(1.0)), (Norm::L1, net.least(&sample, false))] {
        let settings = Settings { iterations: 20, ..Settings::default() };
        for (ours, truth) in checked(&net, &sample, norm, &settings).iter().zip(truth) {
            assert!(*ours >= truth * 0.9999 && *ours <= truth * 1.001, "{norm:?}: {ours}, truth {truth}");
        }
    }
}

#[test]
fn a_batch_each_image_alone_and_a_permuted_batch_give_the_same() {
    let net = Convolutional::new();
    let sample = Sample::of(&net, 5, 16);
    let order = [4, 0, 2, 1, 3];
    let settings = Settings { iterations: 8, restarts: 2, ..Settings::default() };
    for norm in [Norm::L2, Norm::Linf] {
        let together = checked(&net, &sample, norm, &settings);
        let permuted = checked(&net, &sample.pick(&order), norm, &settings);
        for (place, &row) in order.iter().enumerate() {
            let row = row as usize;
            let alone = checked(&net, &sample.pick(&[row as i64]), norm, &settings)[0];
            let near = |other: f32| (together[row] - other).abs() <= 2e-3 * together[row];
            assert!(near(alone) && near(permuted[place]), "{norm:?}: {together:?}, {permuted:?}, {alone}");
        }
    }
}

#[test]
fn clean_errors_are_at_zero_and_l0_is_not_attacked() {
    let net = Linear::new(5);
    let mut sample = Sample::of(&net, 3, 8);
    sample.labels = (&sample.labels + Tensor::from_slice(&[0i64, 1, 0])).remainder(5);
    let settings = Settings { iterations: 5, ..Settings::default() };
    let l2 = values(&run(&net, &sample.batch(), Norm::L2, &settings).distance);
    assert!(l2[0] > 0.0 && l2[1] == 0.0 && l2[2] > 0.0, "{l2:?}");
    assert_eq!(values(&run(&net, &sample.batch(), Norm::L0, &settings).distance), [f32::INFINITY, 0.0, f32::INFINITY]);
}

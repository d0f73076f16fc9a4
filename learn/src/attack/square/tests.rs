use super::super::test_targets::{Convolutional, Linear, Sample, values};
use super::*;

fn search(
    queries: u32,
    net: &dyn Target,
    sample: &Sample,
    norm: Norm,
    radius: f64,
    run: u32,
    start: Option<&Tensor>,
) -> RunResult {
    let square = Square { queries, seed: 1, ..Square::default() };
    square.run(&Setup { target: net, batch: &sample.batch(), norm, radius, run, start })
}

fn checked(net: &dyn Target, sample: &Sample, norm: Norm, radius: f64, queries: u32) -> Vec<f32> {
    let done = search(queries, net, sample, norm, radius, 0, None);
    for images in [&done.found.images, &done.iterate] {
        assert!(images.min().double_value(&[]) >= 0.0 && images.max().double_value(&[]) <= 1.0);
        let longest = norm::length(&(images - &sample.images), norm).max().double_value(&[]);
        assert!(longest <= radius, "{norm:?}: {longest} in a ball of {radius}");
    }
    let wrong = target::misclassified(&target::logits(net, &done.found.images), &sample.labels);
    assert!(wrong.equal(&done.found.distance.isfinite()), "{norm:?}");
    assert!(target::misclassified(&target::logits(net, &done.iterate), &sample.labels).equal(&wrong));
    values(&done.found.distance)
}

/// Random search succeeds a little beyond the true distance, since squares have to find the signs. Nothing can before it.
#[test]
fn a_linear_classifier_falls_beyond_its_distance_and_never_before() {
    let net = Linear::new(3);
    let sample = Sample::of(&net, 8, 8);
    for (norm, dual, enough) in [(Norm::Linf, 1.0, 1.6), (Norm::L2, 2.0, 2.5)] {
        let truth = net.distance(&sample.images, &sample.labels, dual);
        let (least, most) = truth.iter().fold((f32::INFINITY, 0.0f32), |(a, b), &t| (a.min(t), b.max(t)));
        let all = checked(&net, &sample, norm, f64::from(most) * enough, 800);
        assert!(all.iter().all(|distance| distance.is_finite()), "{norm:?}: {all:?}, truth {truth:?}");
        let none = checked(&net, &sample, norm, f64::from(least) * 0.99, 200);
        assert!(none.iter().all(|distance| distance.is_infinite()), "{norm:?}: {none:?}, truth {truth:?}");
    }
}

#[test]
fn a_batch_each_image_alone_and_a_permuted_batch_give_the_same() {
    let net = Convolutional::new();
    let sample = Sample::of(&net, 6, 16);
    let order = [4, 0, 5, 2, 1, 3];
    for (norm, radius) in [(Norm::Linf, 0.03), (Norm::L2, 0.5)] {
        let run = |sample: &Sample| search(150, &net, sample, norm, radius, 0, None).iterate;
        let (together, permuted) = (run(&sample), run(&sample.pick(&order)));
        assert!(
            permuted.allclose(&together.index_select(0, &Tensor::from_slice(&order)), 0.0, 1e-6, false),
            "{norm:?}"
        );
        for row in 0..6 {
            let alone = run(&sample.pick(&[row]));
            assert!(alone.allclose(&together.narrow(0, row, 1), 0.0, 1e-6, false), "{norm:?}, image {row}");
        }
        let other = search(150, &net, &sample, norm, radius, 1, None).iterate;
        assert!(!other.allclose(&together, 0.0, 1e-3, false), "{norm:?}: another restart draws otherwise");
    }
}

/// More queries never raise the margin, and a start that is already misclassified is returned as it is.
#[test]
fn queries_help_and_a_start_is_used() {
    let net = Convolutional::new();
    let sample = Sample::of(&net, 4, 16);
    let margin = |queries| {
        let iterate = search(queries, &net, &sample, Norm::Linf, 0.004, 0, None).iterate;
        let logits = net.logits(&iterate);
        let right = logits.gather(1, &sample.labels.unsqueeze(1), false).squeeze_dim(1);
        values(&(right - logits.scatter_value(1, &sample.labels.unsqueeze(1), -1e9).amax([1i64].as_slice(), false)))
    };
    let (few, many) = (margin(1), margin(80));
    assert!(few.iter().zip(&many).all(|(few, many)| many <= few), "{few:?} {many:?}");
    assert!(many.iter().sum::<f32>() < few.iter().sum::<f32>());

    let far = search(400, &net, &sample, Norm::Linf, 0.3, 0, None);
    assert!(values(&far.found.distance).iter().all(|distance| distance.is_finite()), "{:?}", far.found.distance);
    let again = search(1, &net, &sample, Norm::Linf, 0.3, 0, Some(&far.iterate));
    assert!(again.found.images.equal(&far.found.images) && again.found.distance.equal(&far.found.distance));
}

#[test]
fn squares_shrink_as_published_whatever_the_number_of_queries() {
    let ten = Square { queries: 10_000, ..Square::default() };
    let five = Square::default();
    for query in [0, 5, 30, 100, 300, 700, 1500, 3000, 5000, 7000, 9000] {
        assert_eq!(ten.share(query), five.share(query / 2), "{query}");
    }
    assert_eq!(
        [0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001].map(|q| (0.8 / ten.share(q)).log2()),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    );
    assert_eq!([ten.side(0, Norm::Linf, [32, 32]), ten.side(9999, Norm::Linf, [32, 32])], [29, 1]);
    assert_eq!([ten.side(0, Norm::L2, [32, 32]), ten.side(9999, Norm::L2, [32, 32])], [29, 3]);
}

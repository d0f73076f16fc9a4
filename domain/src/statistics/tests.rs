//! Against SciPy 1.17.1: `stats.t.interval`, `stats.ttest_ind(.., equal_var=False).confidence_interval(0.95)` and
//! `stats.binomtest(min(b, c), b + c, 0.5).pvalue`, whose figures stand here as it printed them.

use proptest::prelude::*;

use super::{sample::around, *};

const A: [f64; 3] = [0.7083, 0.7121, 0.7044];
const B: [f64; 4] = [0.7301, 0.7251, 0.7412, 0.7190];

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

#[track_caller]
fn is_interval(interval: Option<Interval>, low: f64, high: f64) {
    let interval = interval.expect("an interval");
    assert!(near(interval.low, low) && near(interval.high, high), "{interval:?}, expected {low} to {high}");
}

#[test]
fn mean_spread_and_interval_are_those_of_scipy() {
    let a = summary(&A).expect("values");
    assert_eq!(a.n, 3);
    assert!(near(a.mean, 0.7082666666666667) && near(a.sd.unwrap_or_default(), 0.0038501082235871064), "{a:?}");
    is_interval(a.interval, 0.6987024676341339, 0.7178308656991995);
    let b = summary(&B).expect("values");
    assert!(near(b.sd.unwrap_or_default(), 0.009401595609256973), "{b:?}");
    is_interval(b.interval, 0.7138899633947743, 0.7438100366052257);
}

#[test]
fn quantiles_of_students_t_are_those_of_scipy() {
    // stats.t.ppf(0.975, degrees)
    let known = [
        (1.0, 12.706204736174694),
        (1.3, 7.500529325562029),
        (2.0, 4.302652729749462),
        (4.7, 2.62072607535317),
        (30.0, 2.0422724563012378),
        (1000.0, 1.9623390808264083),
    ];
    for (degrees, quantile) in known {
        is_interval(around(0.0, 1.0, degrees), -quantile, quantile);
    }
}

#[test]
fn the_difference_is_welchs() {
    let [a, b] = [summary(&A), summary(&B)].map(|one| one.expect("values"));
    let found = difference(&a, &b);
    assert!(near(found.mean, 0.020583333333333287), "{found:?}");
    assert!(near(found.degrees.unwrap_or_default(), 4.178262836831297), "{found:?}");
    is_interval(found.interval, 0.006385894040833246, 0.03478077262583333);
    let back = difference(&b, &a);
    is_interval(back.interval, -0.03478077262583333, -0.006385894040833246);
}

#[test]
fn one_run_has_a_value_and_no_spread() {
    let one = summary(&[0.5]).expect("a value");
    assert_eq!((one.n, one.mean, one.sd, one.interval), (1, 0.5, None, None));
    let found = difference(&one, &summary(&A).expect("values"));
    assert!(near(found.mean, 0.2082666666666667) && found.interval.is_none() && found.degrees.is_none(), "{found:?}");
    assert_eq!([summary(&[]), summary(&[0.5, f64::NAN]), summary(&[f64::INFINITY])], [None, None, None]);
    // Runs that do not differ leave no doubt about this machine.
    let equal = summary(&[0.5, 0.5]).expect("values");
    assert_eq!(equal.interval, Some(Interval { low: 0.5, high: 0.5 }));
    assert_eq!(difference(&equal, &equal).interval, Some(Interval { low: 0.0, high: 0.0 }));
}

#[test]
fn mcnemars_test_is_the_exact_binomial_one() {
    let known = [
        (3, 10, 0.09228515625),
        (0, 5, 0.0625),
        (7, 7, 1.0),
        (0, 0, 1.0),
        (1, 0, 1.0),
        (120, 175, 0.0016216284047333134),
        (4000, 4300, 0.001029736761268162),
        (0, 2000, 0.0),
    ];
    for (b, c, p) in known {
        let verdicts = std::iter::repeat_n((true, false), b).chain(std::iter::repeat_n((false, true), c));
        let found = paired(verdicts.chain([(true, true), (false, false), (true, true)]));
        assert_eq!((found.both, found.neither, found.images()), (2, 1, (b + c) as u64 + 3));
        assert_eq!((found.only_first, found.only_second), (b as u64, c as u64));
        assert!(near(found.p, p), "b {b}, c {c}: {} and not {p}", found.p);
    }
}

proptest! {
    #[test]
    fn an_interval_lies_around_its_mean_and_moves_with_the_values(
        values in prop::collection::vec(-1e3..1e3f64, 2..40), shift in -1e3..1e3f64,
    ) {
        let one = summary(&values).expect("values");
        let moved = summary(&values.iter().map(|value| value + shift).collect::<Vec<f64>>()).expect("values");
        let (inner, outer) = (one.interval.expect("two values"), moved.interval.expect("two values"));
        prop_assert!(inner.low <= one.mean && one.mean <= inner.high);
        prop_assert!((outer.low - inner.low - shift).abs() < 1e-6 && (outer.high - inner.high - shift).abs() < 1e-6);
    }
}

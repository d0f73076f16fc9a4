//! The curve of the share of images that are misclassified within each radius, from one distance an image.
//!
//! There are two conventions. `paper` (Figure 2 of the paper) counts strictly positive, finite distances only: clean errors
//! and failed attacks are left out, and every curve ends at 1. `all` counts clean errors from radius 0 on, and failed
//! attacks stay in the denominator. For the best of several attacks take the [`smallest`] distances.

/// Shares of images at one radius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    pub radius: f64,
    pub paper: f64,
    pub all: f64,
}

/// Points at radius 0 and at each of `radii`. A distance is 0 for a clean error and infinite for a failed attack.
pub fn curve(distances: &[f32], radii: &[f64]) -> Vec<CurvePoint> {
    let found = positive(distances).len();
    std::iter::once(&0.0)
        .chain(radii)
        .map(|&radius| {
            let within = distances.iter().filter(|&&distance| within(distance, radius));
            let (all, broken) =
                within.fold((0, 0), |(all, broken), &distance| (all + 1, broken + usize::from(distance > 0.0)));
            CurvePoint { radius, paper: share(broken, found), all: share(all, distances.len()) }
        })
        .collect()
}

/// Whether an image with this distance is broken at `radius`. Compares in f32, in which distances are measured.
pub fn within(distance: f32, radius: f64) -> bool {
    distance <= radius as f32
}

/// Median of the strictly positive, finite distances, as the paper counts: the weaker an attack, the nearer it seems. `None`
/// if there are none.
pub fn median_paper(distances: &[f32]) -> Option<f64> {
    median(positive(distances))
}

/// Median over all images, clean errors at 0 and failures at infinity; `None` if it is infinite.
pub fn median_all(distances: &[f32]) -> Option<f64> {
    median(distances.to_vec()).filter(|median| median.is_finite())
}

/// The smallest distance of each image over several attacks.
pub fn smallest(attacks: &[&[f32]]) -> Vec<f32> {
    let Some((first, rest)) = attacks.split_first() else { return Vec::new() };
    rest.iter().fold(first.to_vec(), |best, other| best.iter().zip(*other).map(|(a, b)| a.min(*b)).collect())
}

fn positive(distances: &[f32]) -> Vec<f32> {
    distances.iter().copied().filter(|d| *d > 0.0 && d.is_finite()).collect()
}

/// The middle one, or the mean of the two middle ones (numpy's).
fn median(mut values: Vec<f32>) -> Option<f64> {
    values.sort_by(f32::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((f64::from(lower) + f64::from(upper)) / 2.0)
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f32 = f32::INFINITY;
    /// Two clean errors, three broken, three that withstood.
    const EIGHT: [f32; 8] = [0.3, 0.0, INF, 0.1, INF, 0.0, 0.2, INF];

    #[test]
    fn clean_errors_count_at_zero_and_failures_stay_in_the_denominator() {
        let all: Vec<f64> = curve(&EIGHT, &[0.05, 0.2, 1e6]).iter().map(|point| point.all).collect();
        assert_eq!(all, [2.0 / 8.0, 2.0 / 8.0, 4.0 / 8.0, 5.0 / 8.0]);
    }

    #[test]
    fn the_papers_curve_leaves_both_out_and_ends_at_one() {
        let paper: Vec<f64> = curve(&EIGHT, &[0.05, 0.2, 1e6]).iter().map(|point| point.paper).collect();
        assert_eq!(paper, [0.0, 0.0, 2.0 / 3.0, 1.0]);
        assert!(
            curve(&[0.0, INF], &[1.0]).iter().all(|point| point.paper == 0.0),
            "without positive distances the curve is 0"
        );
    }

    #[test]
    fn medians_of_both_conventions() {
        assert!((median_paper(&EIGHT).unwrap() - 0.2).abs() < 1e-7);
        let all = median_all(&EIGHT).unwrap();
        assert!((all - 0.25).abs() < 1e-7, "between 0.2 and 0.3: {all}");
        assert_eq!(median_all(&[0.1, INF, INF]), None);
        assert_eq!(median_all(&[0.1, INF]), None, "the mean of a number and infinity is infinite");
        assert_eq!((median_paper(&[0.0, INF]), median_paper(&[])), (None, None));
    }

    #[test]
    fn the_best_of_attacks_lies_above_each_and_never_falls() {
        let other = [0.4, 0.0, 0.15, INF, INF, 0.0, 0.25, 0.9];
        let best = smallest(&[&EIGHT, &other]);
        assert_eq!(best, [0.3, 0.0, 0.15, 0.1, INF, 0.0, 0.2, 0.9]);
        let radii: Vec<f64> = (1..=20).map(|step| f64::from(step) / 20.0).collect();
        let [best, one, two] = [&best[..], &EIGHT, &other].map(|distances| curve(distances, &radii));
        assert!(best.iter().zip(one.iter().zip(&two)).all(|(b, (o, t))| b.all >= o.all && b.all >= t.all));
        assert!(best.is_sorted_by(|a, b| a.all <= b.all && a.paper <= b.paper));
        assert_eq!((best[0].radius, best[0].all), (0.0, 0.25));
    }
}

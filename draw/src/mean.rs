//! Several runs of one thing as one line: the mean, and how far they lie apart.

/// More points than a panel has pixels are averaged.
const MOST_POINTS: usize = 600;
/// Beyond this, a sum of points or the span of an axis might not be finite.
const LARGEST: f64 = f64::MAX / 1e9;

/// A point of a line. `low` and `high` are a standard deviation of the sample from `y`, or are `y` where only one run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The mean over the runs that have come so far, between whose own points the line is straight.
pub(crate) fn line(runs: &[&[(f64, f64)]]) -> Vec<Point> {
    let runs: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| averaged(run)).filter(|run| !run.is_empty()).collect();
    let mut places: Vec<f64> = runs.iter().flatten().map(|point| point.0).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    // Each run has no more points than can be seen, but all of them together may.
    let step = places.len().div_ceil(MOST_POINTS).max(1);
    let last = places.len().saturating_sub(1);
    let seen = places.iter().enumerate().filter(|(place, _)| place % step == 0 || *place == last);
    let mut cursors = vec![0; runs.len()];
    seen.filter_map(|(_, x)| {
        let values = runs.iter().zip(&mut cursors).filter_map(|(run, cursor)| at(run, cursor, *x));
        point(*x, &values.collect::<Vec<_>>())
    })
    .collect()
}

/// Mean and standard deviation of the sample; `None` without values.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| value / n).sum::<f64>();
    let squares: f64 = values.iter().map(|value| (value - mean) * ((value - mean) / (n - 1.0))).sum();
    let spread = if values.len() > 1 { squares.sqrt() } else { 0.0 };
    (!values.is_empty()).then(|| (mean, if spread.is_finite() { spread } else { 0.0 }))
}

fn point(x: f64, values: &[f64]) -> Option<Point> {
    let (y, spread) = spread(values)?;
    Some(Point { x, y, low: y - spread, high: y + spread })
}

/// The value of a run at `x`, which only grows from call to call; `None` before its first and behind its last point.
fn at(run: &[(f64, f64)], cursor: &mut usize, x: f64) -> Option<f64> {
    while run.get(*cursor + 1).is_some_and(|next| next.0 <= x) {
        *cursor += 1;
    }
    let from = run.get(*cursor)?;
    match run.get(*cursor + 1) {
        _ if from.0 > x => None,
        _ if from.0 == x => Some(from.1),
        Some(to) => {
            let share = (x - from.0) / (to.0 - from.0);
            Some(share.mul_add(to.1 - from.1, from.1))
        }
        None => None,
    }
}

/// What an axis can show.
pub(crate) fn finite(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let is_small = |value: f64| value.abs() <= LARGEST;
    points.iter().copied().filter(move |(x, y)| is_small(*x) && is_small(*y))
}

/// In groups of equal size, if there are more than can be seen.
fn averaged(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut all: Vec<(f64, f64)> = finite(points).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let group = all.len().div_ceil(MOST_POINTS).max(1);
    let mean = |points: &[(f64, f64)]| {
        let n = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / n, y / n)
    };
    all.chunks(group).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_are_averaged_and_none_is_lost() {
        let values: Vec<(f64, f64)> = (0..10_000).map(|step| (f64::from(step), f64::from(step))).collect();
        let points = averaged(&values);
        assert!(points.len() <= MOST_POINTS);
        assert_eq!(points.first(), Some(&(8.0, 8.0)));
        let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        assert!((mean - 5000.0).abs() < 10.0, "{mean}");
    }

    #[test]
    fn runs_are_averaged_where_they_are() {
        let (a, b) = ([(0.0, 1.0), (10.0, 3.0), (20.0, 5.0)], [(0.0, 3.0), (5.0, 2.0), (10.0, 5.0)]);
        let line = line(&[&a, &b, &[(0.0, f64::NAN)]]);
        let means: Vec<(f64, f64)> = line.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(means, [(0.0, 2.0), (5.0, 2.0), (10.0, 4.0), (20.0, 5.0)]);
        assert_eq!((line[0].low, line[0].high), (2.0 - 2_f64.sqrt(), 2.0 + 2_f64.sqrt()));
        assert_eq!((line[1].low, line[3].high), (2.0, 5.0), "equal, and alone");
    }

    #[test]
    fn many_runs_are_no_more_points_than_are_seen() {
        let run = |offset: f64| (0..600).map(|step| (f64::from(step) + offset, 1.0)).collect::<Vec<_>>();
        let runs: Vec<_> = (0..20).map(|run_| run(f64::from(run_) / 20.0)).collect();
        let line = line(&runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(line.len() <= MOST_POINTS + 1 && line.last().is_some_and(|last| last.x > 599.9), "{}", line.len());
    }
}

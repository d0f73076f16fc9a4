//! Which points of a long curve are kept, so that it still looks as it did.

/// The first, the smallest, the largest and the last of a curve.
pub const FEWEST: usize = 4;

/// Places of at most `most` (four at least) of these values, ascending: the first and the last, and of each group of neighbours
/// between them the smallest and the largest. Where no value of a group is finite, its first stands for it: a curve that has broken
/// off in numbers shows where.
pub fn extremes(values: &[f64], most: usize) -> Vec<usize> {
    let (count, most) = (values.len(), most.max(FEWEST));
    if count <= most {
        return (0..count).collect();
    }
    let (inside, groups) = (count - 2, (most - 2) / 2);
    let mut kept = vec![0];
    for group in 0..groups {
        let places = 1 + group * inside / groups..1 + (group + 1) * inside / groups;
        let finite = || places.clone().filter(|place| values[*place].is_finite());
        let by_value = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
        match (finite().min_by(by_value), finite().max_by(by_value)) {
            (Some(low), Some(high)) => {
                kept.push(low.min(high));
                kept.extend((low != high).then_some(low.max(high)));
            }
            _ => kept.extend(places.start..places.end.min(places.start + 1)),
        }
    }
    kept.push(count - 1);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_extremes_stay_however_few_are_kept() {
        let mut values: Vec<f64> = (0..100_000).map(|step| f64::from(step % 7)).collect();
        (values[54_321], values[12_345], values[77_777]) = (1000.0, -1000.0, f64::NAN);
        for most in [0, 4, 5, 10, 1000] {
            let kept = extremes(&values, most);
            assert!(kept.len() <= most.max(FEWEST) && kept.is_sorted_by(|a, b| a < b), "{most}: {}", kept.len());
            for place in [0, 54_321, 12_345, 99_999] {
                assert!(kept.contains(&place), "{place} of {most}");
            }
        }
        assert_eq!(extremes(&[1.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN, 2.0], 4), [0, 1, 5]);
        assert_eq!(extremes(&[3.0, 1.0], 4), [0, 1]);
        assert_eq!(extremes(&[], 4), [0; 0]);
    }

    #[test]
    fn thinning_twice_is_thinning_once() {
        let values: Vec<f64> = (0..5000).map(|step| f64::from(step).sin()).collect();
        let once = extremes(&values, 100);
        let thinned: Vec<f64> = once.iter().map(|place| values[*place]).collect();
        assert_eq!(extremes(&thinned, 100).len(), thinned.len());
    }
}

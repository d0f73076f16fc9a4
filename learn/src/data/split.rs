//! Which images a job sees, and in which order. All draws are keyed, so that every rank chooses the same without an
//! exchange.

use super::error::DataError;
use crate::random::{Purpose, Stream};

/// Ids of the images that keep their label, ascending: the share `fraction` of each class, rounded. Fails if that is none.
///
/// With one seed, smaller fractions are subsets of larger ones.
pub fn balanced_subset(labels: &[i64], classes: usize, fraction: f64, seed: u64) -> Result<Vec<i64>, DataError> {
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(DataError::FractionRange { fraction });
    }
    let mut subset = Vec::new();
    for class in 0..classes {
        let mut members: Vec<i64> =
            (0..).zip(labels).filter(|&(_, &label)| label == class as i64).map(|(id, _)| id).collect();
        if members.is_empty() {
            return Err(DataError::Absent { class, classes, images: labels.len() });
        }
        let kept = (fraction * members.len() as f64).round() as usize;
        if kept == 0 {
            let count = members.len();
            return Err(DataError::Fraction { fraction, class, count, least: 0.5 / count as f64 });
        }
        Stream::new(seed, Purpose::Subset, 0, class as u64, 0).shuffle(&mut members);
        subset.extend_from_slice(&members[..kept]);
    }
    subset.sort_unstable();
    Ok(subset)
}

/// 0..n in the order of one epoch.
pub fn epoch_order(n: usize, seed: u64, epoch: u32) -> Vec<i64> {
    Stream::new(seed, Purpose::Order, epoch, 0, 0).permutation(n)
}

/// Divides a subset into (trained on, held out), both ascending. Held out is `share` of each class, rounded, at least one
/// image; nothing if `share` is 0. Fails if nothing of a class is left to train on.
pub fn hold_out(
    subset: &[i64],
    labels: &[i64],
    classes: usize,
    share: f64,
    seed: u64,
) -> Result<(Vec<i64>, Vec<i64>), DataError> {
    if share == 0.0 {
        return Ok((subset.to_vec(), Vec::new()));
    }
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for class in 0..classes {
        let mut members: Vec<i64> = subset.iter().copied().filter(|&id| labels[id as usize] == class as i64).collect();
        let count = ((share * members.len() as f64).round() as usize).max(1);
        if count >= members.len() {
            return Err(DataError::Holdout { share, class, labelled: members.len() });
        }
        Stream::new(seed, Purpose::Holdout, 0, class as u64, 0).shuffle(&mut members);
        let (out, rest) = members.split_at(count);
        held.extend_from_slice(out);
        kept.extend_from_slice(rest);
    }
    kept.sort_unstable();
    held.sort_unstable();
    Ok((kept, held))
}

/// Divides the images 0..n of a set without labels into (trained on, held out). The first are ascending. The held out ones, a
/// `share` of all, rounded, stay in the order in which they are drawn: that of a folder would put those of a class together.
pub fn hold_out_images(n: usize, share: f64, seed: u64) -> (Vec<i64>, Vec<i64>) {
    if share == 0.0 {
        return ((0..n as i64).collect(), Vec::new());
    }
    let mut held = Stream::new(seed, Purpose::Holdout, 0, 0, 1).permutation(n);
    let mut kept = held.split_off((share * n as f64).round() as usize);
    kept.sort_unstable();
    (kept, held)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn labels() -> Vec<i64> {
        (0..1000).map(|i| (i * 7) % 10).collect()
    }

    #[test]
    fn a_subset_is_balanced_and_smaller_ones_lie_inside_larger_ones() {
        let subset = |fraction| balanced_subset(&labels(), 10, fraction, 5).unwrap();
        for (fraction, each) in [(0.01, 1), (0.1, 10), (1.0, 100)] {
            let mut counts = [0; 10];
            subset(fraction).iter().for_each(|&id| counts[labels()[id as usize] as usize] += 1);
            assert_eq!(counts, [each; 10]);
        }
        let large: HashSet<i64> = subset(0.1).into_iter().collect();
        assert!(subset(0.01).iter().all(|id| large.contains(id)));
        assert_ne!(subset(0.1), balanced_subset(&labels(), 10, 0.1, 6).unwrap());
    }

    #[test]
    fn a_fraction_that_empties_a_class_is_refused() {
        let error = balanced_subset(&labels(), 10, 0.004, 1).unwrap_err().to_string();
        assert_eq!(error, "a label fraction of 0.004 leaves no image of class 0 (it has 100); use at least 0.005000");
        for wrong in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(matches!(balanced_subset(&labels(), 10, wrong, 1), Err(DataError::FractionRange { .. })));
        }
    }

    #[test]
    fn a_class_without_images_is_named() {
        let error = balanced_subset(&labels(), 11, 0.5, 1).unwrap_err();
        assert!(matches!(error, DataError::Absent { class: 10, .. }), "{error}");
    }

    #[test]
    fn orders_differ_by_epoch_and_seed() {
        assert_eq!(epoch_order(100, 1, 2), epoch_order(100, 1, 2));
        assert_ne!(epoch_order(100, 1, 2), epoch_order(100, 1, 3));
        assert_ne!(epoch_order(100, 1, 2), epoch_order(100, 2, 2));
    }

    #[test]
    fn a_held_out_part_is_balanced_and_trains_nothing() {
        let subset = balanced_subset(&labels(), 10, 0.5, 1).unwrap();
        for (share, each) in [(0.1, 5), (0.001, 1), (0.98, 49)] {
            let (kept, held) = hold_out(&subset, &labels(), 10, share, 1).unwrap();
            let mut counts = [0; 10];
            held.iter().for_each(|&id| counts[labels()[id as usize] as usize] += 1);
            assert_eq!(counts, [each; 10]);
            assert!(kept.is_sorted() && held.is_sorted());
            let mut all = [kept, held].concat();
            all.sort_unstable();
            assert_eq!(all, subset);
        }
        assert_ne!(
            hold_out(&subset, &labels(), 10, 0.1, 1).unwrap(),
            hold_out(&subset, &labels(), 10, 0.1, 2).unwrap()
        );
        assert_eq!(hold_out(&subset, &labels(), 10, 0.0, 1).unwrap(), (subset, vec![]));
    }

    #[test]
    fn images_are_held_out_without_their_labels() {
        let (kept, held) = hold_out_images(1000, 0.05, 3);
        assert_eq!((kept.len(), held.len()), (950, 50));
        assert!(kept.is_sorted() && !held.is_sorted());
        let mut all = [kept, held].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_ne!(hold_out_images(1000, 0.05, 3), hold_out_images(1000, 0.05, 4));
        assert_eq!(hold_out_images(7, 0.0, 3), ((0..7).collect(), vec![]));
    }

    #[test]
    fn a_class_that_would_have_nothing_left_is_named() {
        let subset = balanced_subset(&labels(), 10, 0.01, 1).unwrap();
        let error = hold_out(&subset, &labels(), 10, 0.1, 1).unwrap_err().to_string();
        assert!(error.contains("class 0") && error.contains("validation = 0"), "{error}");
    }
}

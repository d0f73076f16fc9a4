//! A few images of a data set, evenly from all classes.

use crate::random::{Purpose, Stream};

/// Places in `labels` of a class-balanced draw without repetition; all of them, if there are not more than `count`.
///
/// Classes take turns in an order of their own for each seed, and a class that has no image left is passed over. The first
/// places of a larger draw are those of a smaller one, so that every beginning is balanced too. What is drawn depends on
/// `labels` and `seed` only.
pub fn draw(labels: &[i64], count: usize, seed: u64) -> Vec<usize> {
    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (place, &label) in labels.iter().enumerate() {
        members[label as usize].push(place);
    }
    for (class, members) in (0..).zip(&mut members) {
        Stream::new(seed, Purpose::Draw, 0, class, 0).shuffle(members);
    }
    let turns = Stream::new(seed, Purpose::Draw, 0, 0, 1).permutation(classes);
    let longest = members.iter().map(Vec::len).max().unwrap_or_default();
    let rounds = (0..longest).flat_map(|round| turns.iter().map(move |&class| (class as usize, round)));
    rounds.filter_map(|(class, round)| members[class].get(round).copied()).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an image folder is read: class by class.
    fn sorted() -> Vec<i64> {
        [vec![0; 32], vec![1; 32], vec![2; 5]].concat()
    }

    #[test]
    fn a_few_images_come_from_all_classes_also_where_one_has_few() {
        let labels = sorted();
        let counts = |count: usize| {
            let mut counts = [0; 3];
            draw(&labels, count, 7).into_iter().for_each(|place| counts[labels[place] as usize] += 1);
            counts
        };
        assert_eq!((counts(6), counts(15), counts(21)), ([2; 3], [5; 3], [8, 8, 5]));
        assert_eq!((counts(69), counts(1000)), ([32, 32, 5], [32, 32, 5]));
        assert!(draw(&[], 3, 7).is_empty());
    }

    #[test]
    fn a_smaller_draw_is_the_beginning_of_a_larger_one_and_a_seed_decides() {
        let labels = sorted();
        let all = draw(&labels, 69, 7);
        for count in [0, 1, 10, 64] {
            assert_eq!(draw(&labels, count, 7), all[..count]);
        }
        assert_ne!(draw(&labels, 10, 7), draw(&labels, 10, 8));
        let mut places = all;
        places.sort_unstable();
        assert_eq!(places, (0..69).collect::<Vec<_>>(), "each once");
    }
}

//! Long names, cut so that they still differ.

use std::collections::{HashMap, HashSet};

const CUT: char = '…';

/// Each in at most about `most` letters. What differs, differs afterwards.
pub(crate) fn distinct(names: &[&str], most: usize) -> Vec<String> {
    let most = most.max(4);
    let is_long = |name: &str| name.chars().count() > most;
    if !names.iter().any(|name| is_long(name)) {
        return names.iter().map(|&name| name.to_owned()).collect();
    }
    let common = common_pieces(names);
    let mut cut: Vec<String> = names
        .iter()
        .map(|name| if is_long(name) { middle_cut(&without(name, &common), most) } else { (*name).to_owned() })
        .collect();
    number_equals(names, &mut cut);
    cut
}

/// `encoder[`, `lr=0.1,`, `seed=7]`.
fn pieces(name: &str) -> impl Iterator<Item = &str> {
    name.split_inclusive(['[', ',', ']', '/'])
}

/// Those that all names have; the first of a name stays, since it says what it is of.
fn common_pieces<'a>(names: &[&'a str]) -> HashSet<&'a str> {
    let mut names = names.iter();
    let Some(first) = names.next() else { return HashSet::new() };
    let mut common: HashSet<&str> = pieces(first).skip(1).collect();
    for name in names {
        let own: HashSet<&str> = pieces(name).collect();
        common.retain(|piece| own.contains(piece));
    }
    common
}

/// One cut for each row of pieces that is left out.
fn without(name: &str, common: &HashSet<&str>) -> String {
    let mut short = String::with_capacity(name.len());
    for piece in pieces(name) {
        if !common.contains(piece) {
            short.push_str(piece);
            continue;
        }
        if !short.ends_with(CUT) {
            short.push(CUT);
        }
        short.extend(piece.ends_with(']').then_some(']'));
    }
    short
}

/// Cuts the middle out: jobs of a sweep differ at their ends.
fn middle_cut(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    let (head, tail) = (most / 3, most - most / 3 - 1);
    letters[..head].iter().chain([CUT].iter()).chain(&letters[letters.len() - tail..]).collect()
}

fn number_equals(names: &[&str], cut: &mut [String]) {
    let mut taken: HashMap<String, &str> = HashMap::new();
    let mut given: HashMap<&str, String> = HashMap::new();
    for (name, short) in names.iter().zip(cut.iter_mut()) {
        if let Some(known) = given.get(name) {
            short.clone_from(known);
            continue;
        }
        let base = short.clone();
        let mut number = 1;
        while taken.contains_key(short) || (short != name && names.contains(&short.as_str())) {
            number += 1;
            *short = format!("{base} ({number})");
        }
        taken.insert(short.clone(), name);
        given.insert(name, short.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_all_have_is_cut_first() {
        let long = "label_fraction=0.01,".repeat(3);
        let names: Vec<String> =
            (1..3).map(|seed| format!("supervised[{long}seed={seed},tikhonov.lambda=10.0]")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(distinct(&names, 46), ["supervised[…seed=1,…]", "supervised[…seed=2,…]"]);
        assert_eq!(distinct(&["short", "b"], 46), ["short", "b"]);
    }

    #[test]
    fn a_name_of_one_piece_keeps_its_ends() {
        let long = format!("begin{}end", "x".repeat(100));
        let short = distinct(&[&long], 20);
        assert_eq!(short[0].chars().count(), 20);
        assert!(short[0].starts_with("begin") && short[0].ends_with("xend"), "{short:?}");
    }

    #[test]
    fn where_nothing_else_differs_a_number_does() {
        let names = ["a", "b", "a"].map(|middle| format!("{}{middle}{}", "x".repeat(50), "y".repeat(50)));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let short = distinct(&names, 20);
        assert!(short[0] != short[1] && short[0] == short[2], "{short:?}");
    }

    proptest! {
        #[test]
        fn what_differs_stays_different(names in prop::collection::hash_set("[ab,\\[\\]=é]{0,30}", 1..12), most in 1usize..20) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let short: HashSet<String> = distinct(&names, most).into_iter().collect();
            prop_assert_eq!(short.len(), names.len());
        }
    }
}

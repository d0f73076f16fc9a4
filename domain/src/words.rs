//! Words that somebody has misspelt.

/// Words that one is compared with, and that a person reads through.
const KNOWN_MAX: usize = 100;

/// `; did you mean ..?` for the nearest of `known`, else the whole list; nothing where they are too many for either.
pub(crate) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.take(KNOWN_MAX + 1).collect();
    if known.len() > KNOWN_MAX {
        return String::new();
    }
    let nearest = known
        .iter()
        .filter(|candidate| is_near(word, candidate))
        .min_by_key(|candidate| (strsim::osa_distance(&word.to_lowercase(), candidate), **candidate));
    match nearest {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; expected {}", alternatives(&known)),
    }
}

/// Whether a word is `candidate` with a mistake in it.
pub(crate) fn is_near(word: &str, candidate: &str) -> bool {
    let word = word.to_lowercase();
    // At most a third of the letters may be wrong: "tempreature" is near, "lr" for "at" is not.
    let (length, wrong_max) = (word.chars().count(), word.chars().count().div_ceil(3));
    // Looked at first: the distance takes as long as both are long together.
    length.abs_diff(candidate.chars().count()) <= wrong_max && strsim::osa_distance(&word, candidate) <= wrong_max
}

/// [`hint`] of a value, whose alternatives are few: all of them beside the nearest.
pub(crate) fn hint_of_value(word: &str, known: &[&str]) -> String {
    let hint = hint(word, known.iter().copied());
    if hint.ends_with('?') { format!("{hint} Expected {}", alternatives(known)) } else { hint }
}

fn alternatives(words: &[&str]) -> String {
    match words {
        [only] => format!("`{only}`"),
        many => format!("one of {}", many.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
    }
}

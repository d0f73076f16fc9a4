//! Words that somebody has misspelt.

/// `; did you mean ..?` for the nearest of `known`, else the whole list.
pub(crate) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
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
    strsim::osa_distance(&word, candidate) <= word.chars().count().div_ceil(3)
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

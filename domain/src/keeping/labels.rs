//! Tags and notes: words that people put on jobs and experiments, and that others read in their terminals and browsers.

/// Tags of one job or experiment.
pub const TAGS_MAX: usize = 20;
/// Letters of one tag.
const TAG_MAX: usize = 40;
/// Letters of a note.
const NOTE_MAX: usize = 500;

/// A tag, as it is stored: letters and digits of any script, and `. _ - + : /` between them.
///
/// # Errors
/// Says what is wrong with it.
pub fn tag(text: &str) -> Result<String, String> {
    let shown = text.escape_debug();
    if let Some(wrong) = text.chars().find(|letter| !(letter.is_alphanumeric() || "._-+:/".contains(*letter))) {
        return Err(format!(
            "`{shown}` is no tag: it holds `{}`; expected letters, digits and any of . _ - + : /",
            wrong.escape_debug()
        ));
    }
    if !text.starts_with(char::is_alphanumeric) {
        return Err(format!("`{shown}` is no tag: expected a letter or a digit first"));
    }
    match text.chars().count() {
        count if count > TAG_MAX => Err(format!("a tag of {count} letters; expected at most {TAG_MAX}")),
        _ => Ok(text.to_owned()),
    }
}

/// A note, as it is stored; `None` for one that says nothing, which takes the old one away.
///
/// # Errors
/// Says what is wrong with it. What would steer a terminal is refused, not repaired: it is no note that somebody typed.
pub fn note(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if let Some(wrong) = text.chars().find(|letter| steers(*letter)) {
        return Err(format!("a note is one line of text; this one holds `{}`", wrong.escape_unicode()));
    }
    match text.chars().count() {
        0 => Ok(None),
        count if count > NOTE_MAX => Err(format!("a note of {count} letters; expected at most {NOTE_MAX}")),
        _ => Ok(Some(text.to_owned())),
    }
}

/// Control characters, line separators, and those that change the direction of what follows.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_word_of_any_script_and_nothing_that_steers() {
        for right in ["camera-ready", "v1.2", "für:paper/2", "表1", "7"] {
            assert_eq!(tag(right).as_deref(), Ok(right));
        }
        for wrong in ["", "-x", "a b", "a\u{1b}[2J", "a\u{202e}b", "a,b", "a\nb", "\u{200f}"] {
            let said = tag(wrong).unwrap_err();
            assert!(!said.chars().any(steers), "{said:?}");
        }
        assert!(tag("a b").unwrap_err().contains("it holds ` `"));
        assert!(tag(&"x".repeat(TAG_MAX)).is_ok());
        assert!(tag(&"x".repeat(TAG_MAX + 1)).unwrap_err().contains("a tag of 41 letters; expected at most 40"));
    }

    #[test]
    fn a_note_is_one_line_that_a_terminal_only_shows() {
        assert_eq!(
            note("  for the camera-ready; don't delete\n"),
            Ok(Some("for the camera-ready; don't delete".to_owned()))
        );
        assert_eq!((note(""), note(" \n ")), (Ok(None), Ok(None)));
        for wrong in ["a\u{1b}[2Jb", "a\u{202e}b", "a\nb", "a\u{2028}b", "a\u{7}b"] {
            let said = note(wrong).unwrap_err();
            assert!(said.contains("holds `\\u{") && !said.chars().any(steers), "{said:?}");
        }
        assert!(note(&"ü".repeat(NOTE_MAX)).is_ok());
        assert!(note(&"ü".repeat(NOTE_MAX + 1)).unwrap_err().contains("501 letters"));
    }
}

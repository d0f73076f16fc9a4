//! Text of others, such as the log of a rank, must not steer the terminal that it is shown on: an escape sequence could
//! clear the screen or forge a line. `--json` escapes such characters itself.

use std::borrow::Cow;

const REPLACEMENT: char = '\u{fffd}';

/// Whether a terminal only shows it.
pub(crate) fn is(text: &str) -> bool {
    !text.chars().any(steers)
}

/// Control characters, and those that change the direction of what follows (Unicode's Bidi_Control).
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value that is one line, or a part of one: line feeds are replaced, too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if is(text) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|char| if char == '\t' { ' ' } else { shown(char) }).collect()
}

/// A page of lines, whose own colours stay if `color`.
pub(crate) fn page(text: &str, color: bool) -> Cow<'_, str> {
    if !text.chars().any(|char| steers(char) && char != '\n') {
        return Cow::Borrowed(text);
    }
    let mut page = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let length = if color { colour_length(rest) } else { None };
        let (part, next) = rest.split_at(length.unwrap_or(char.len_utf8()));
        match (length, char) {
            (Some(_), _) => page.push_str(part),
            (None, '\n' | '\t') => page.push(char),
            (None, _) => page.push(shown(char)),
        }
        rest = next;
    }
    Cow::Owned(page)
}

fn shown(char: char) -> char {
    if steers(char) { REPLACEMENT } else { char }
}

/// The bytes of the sequence that it begins with, if that only chooses a colour: `ESC [ 1 ; 31 m`.
fn colour_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|char: char| !char.is_ascii_digit() && char != ';')?;
    parameters[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_steers_the_terminal() {
        assert_eq!(line("epoch 3, größe \u{1f600}"), "epoch 3, größe \u{1f600}");
        assert_eq!(
            line("a\u{1b}]0;title\u{7}b\r\nc\td\u{202e}e"),
            "a\u{fffd}]0;title\u{fffd}b\u{fffd}\u{fffd}c d\u{fffd}e"
        );
        for turns in ["\u{61c}", "\u{200f}", "\u{2067}"] {
            assert_eq!(line(turns), "\u{fffd}", "{turns:?}");
        }
        assert_eq!(page("one\ntwo\u{9b}2J\n", true), "one\ntwo\u{fffd}2J\n");
        for attack in ["\u{1b}[2J", "\u{1b}]0;x\u{7}", "\u{1b}[?25l", "\u{1b}", "\u{1b}[", "\u{1b}[1;", "\u{1b}c"] {
            let page = page(attack, true);
            assert!(is(&page), "{page:?}");
        }
    }

    #[test]
    fn our_own_colours_stay_where_colours_are_wanted() {
        let text = "\u{1b}[38;5;9mfailed\u{1b}[0m\n";
        assert_eq!(page(text, true), text);
        assert!(!page(text, false).contains('\u{1b}'));
    }
}

//! Texts of others, as a page may show them: templates escape HTML; this takes what would steer the eye out of them.

use std::fmt;

/// A text that somebody else wrote: a name, a reason, a line of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    /// One line.
    pub(crate) fn line(text: &str) -> Self {
        Self(text.chars().map(|char| if matches!(char, '\t' | '\n') { ' ' } else { shown(char) }).collect())
    }

    /// Several lines, as they stand.
    pub(crate) fn lines(text: &str) -> Self {
        Self(text.chars().map(|char| if matches!(char, '\t' | '\n') { char } else { shown(char) }).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control characters, and those that change the direction of what follows (Unicode's Bidi_Control), are shown as unknown.
fn shown(char: char) -> char {
    let steers = char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if steers { '\u{fffd}' } else { char }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_turns_what_follows_around_or_steers() {
        assert_eq!(Text::line("größe \u{1f600}").as_str(), "größe \u{1f600}");
        assert_eq!(
            Text::line("a\u{202e}b\u{2067}\u{1b}[2J\r\n\tc\0").as_str(),
            "a\u{fffd}b\u{fffd}\u{fffd}[2J\u{fffd}  c\u{fffd}"
        );
        assert_eq!(Text::lines("a\n\tb\u{85}").as_str(), "a\n\tb\u{fffd}");
    }
}

//! Text of others on our terminal: a log line, a name, a reason.
//!
//! What is shown holds no control character and nothing that turns the direction of writing, but for line feeds and colours
//! where those were asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[rustfmt::skip]
#[path = "../../cli/src/printable.rs"]
mod printable;

/// Unicode's property Bidi_Control, from its tables.
const DIRECTIONS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

fn steers(char: char) -> bool {
    char.is_control() || DIRECTIONS.contains(&char)
}

fuzz_target!(|text: &str| {
    let line = printable::line(text);
    assert!(!line.chars().any(steers), "{line:?}");
    assert_eq!(printable::line(&line), line);
    assert_eq!(line.chars().count(), text.chars().count());
    assert_eq!(printable::is(text), !text.chars().any(steers), "{text:?}");

    let plain = printable::page(text, false);
    assert!(!plain.chars().any(|char| steers(char) && !"\n\t".contains(char)), "{plain:?}");

    let coloured = printable::page(text, true);
    let left = without_colours(&coloured);
    assert!(!left.chars().any(|char| steers(char) && !"\n\t".contains(char)), "{coloured:?}");
    assert_eq!(printable::page(&coloured, true), coloured);
});

/// The text less every `ESC [ digits and semicolons m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let tail = part
            .strip_prefix('[')
            .map(|rest| rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';'));
        match tail.and_then(|tail| tail.strip_prefix('m')) {
            Some(tail) => left.push_str(tail),
            None => {
                left.push('\u{1b}');
                left.push_str(part);
            }
        }
    }
    left
}

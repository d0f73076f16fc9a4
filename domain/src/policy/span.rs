//! Spans of time as people write them: `90m`, `12h`, `7d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 7 * 86_400)];
/// Ten years: what is longer means for good.
pub const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// A number with a unit, or several of them: `1d12h`.
///
/// # Errors
/// Says what is expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no span of time: expected a number and s, m, h, d or w, as in 90m or 1d12h");
    let (mut seconds, mut digits) = (0u64, String::new());
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == letter).ok_or_else(expected)?;
        let number: u64 = digits.parse().map_err(|_| expected())?;
        seconds = number.checked_mul(*unit).and_then(|more| seconds.checked_add(more)).ok_or_else(expected)?;
        digits.clear();
    }
    if !digits.is_empty() || text.is_empty() {
        return Err(expected());
    }
    let span = Duration::from_secs(seconds);
    if span > LONGEST {
        return Err(format!("`{text}` is longer than ten years; leave it out where nothing is to end"));
    }
    Ok(span)
}

/// As [`parse`] reads it, in its two largest units.
pub fn show(span: Duration) -> String {
    let (mut rest, mut words) = (span.as_secs(), String::new());
    let mut parts = 0;
    for (unit, seconds) in UNITS.iter().rev().filter(|(unit, _)| *unit != 'w') {
        let number = rest / seconds;
        if number > 0 && parts < 2 {
            words.push_str(&format!("{number}{unit}"));
            rest %= seconds;
            parts += 1;
        }
    }
    if words.is_empty() { "0s".to_owned() } else { words }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    parse(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

pub(super) fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => to.serialize_str(&show(*span)),
        None => to.serialize_none(),
    }
}

//! Values as they are written: numbers, texts, dates and spans.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use super::{condition::Value, names::Kind};
use crate::policy::span;

/// What stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl Literal {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("'{text}'"),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// The literal as a value that `name`, of this kind, is compared with.
pub(super) fn value(name: &str, kind: Kind, literal: Literal, now: DateTime<Utc>) -> Result<Value, String> {
    Ok(match (kind, literal) {
        (Kind::Text | Kind::Any, Literal::Text(text)) => Value::Text(text),
        (Kind::Number | Kind::Any | Kind::Span, Literal::Number(number)) => Value::Number(number),
        (Kind::Any, Literal::Flag(flag)) => Value::Flag(flag),
        (Kind::Span, Literal::Text(text)) => Value::Number(span::parse(&text)?.as_secs_f64()),
        (Kind::Time, Literal::Text(text)) => Value::Time(moment(&text, now)?),
        (Kind::Text, other) => return Err(format!("`{name}` is text: write '..' instead of {}", other.shown())),
        (Kind::Number, other) => return Err(format!("`{name}` is a number: {} is none", other.shown())),
        (Kind::Span, other) => {
            return Err(format!("`{name}` is a span of time: write '30d', '12h' or seconds, not {}", other.shown()));
        }
        (Kind::Time, other) => {
            return Err(format!("`{name}` is a time: write '2026-06-01' or '30d' (ago), not {}", other.shown()));
        }
    })
}

/// A point in time as people write it: a date, a date and a time (both UTC), RFC 3339, or a span before now (`30d`).
///
/// # Errors
/// Says what is expected.
pub fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let expected = || {
        format!(
            "`{text}` is no time: expected 2026-06-01, '2026-06-01 14:30', RFC 3339, or a span before now such as 30d"
        )
    };
    if let Ok(before) = span::parse(text) {
        let before = TimeDelta::from_std(before).map_err(|_| expected())?;
        return now.checked_sub_signed(before).ok_or_else(expected);
    }
    let at = if let Ok(date) = text.parse::<NaiveDate>() {
        date.and_time(chrono::NaiveTime::MIN).and_utc()
    } else if let Some(at) =
        ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"].iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    {
        at.and_utc()
    } else {
        DateTime::parse_from_rfc3339(text).map_err(|_| expected())?.to_utc()
    };
    // What Postgres and the wire can hold.
    let year = chrono::Datelike::year(&at);
    if (1..=9999).contains(&year) { Ok(at) } else { Err(expected()) }
}

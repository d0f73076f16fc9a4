//! Faults of an experiment file, first with a byte range, then with line and column.

use std::ops::Range;

/// A wrong experiment file. `Display` is the whole message, position first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SpecError {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Dotted: `jobs.encoder.epochs`; empty if no single key is at fault.
    pub key: String,
    pub message: String,
}

/// A fault while the file is read, by byte range.
#[derive(Debug)]
pub(super) struct Fault {
    /// `None` until a caller adds it, because serde's derived code does not know it.
    pub span: Option<Range<usize>>,
    pub key: String,
    pub message: String,
}

impl Fault {
    pub(super) fn new(span: Range<usize>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { span: Some(span), key: key.into(), message: message.into() }
    }

    /// Adds the span and key unless more precise ones are known.
    pub(super) fn or_at(self, span: &Range<usize>, key: &str) -> Self {
        match self.span {
            Some(_) => self,
            None => Self { span: Some(span.clone()), key: key.to_owned(), message: self.message },
        }
    }

    pub(super) fn into_error(self, file: &str, text: &str) -> SpecError {
        let start = self.span.map_or(0, |span| span.start).min(text.len());
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        SpecError {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: self.key,
            message: self.message,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { span: None, key: String::new(), message: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { span: None, key: field.to_owned(), message: format!("missing key `{field}`") }
    }
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        Self {
            span: error.span(),
            key: String::new(),
            message: format!("not valid TOML: {}", error.message().replace('\n', ", ")),
        }
    }
}

/// `; did you mean ..?` for the nearest of `known`, else the whole list.
pub(super) fn hint<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    let word = word.to_lowercase();
    // At most a third of the letters may be wrong: "tempreature" is near, "lr" for "at" is not.
    let limit = word.chars().count().div_ceil(3);
    let nearest = known
        .iter()
        .map(|candidate| (strsim::osa_distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min();
    match nearest {
        Some((_, candidate)) => format!("; did you mean `{candidate}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; expected {}", alternatives(&known)),
    }
}

fn alternatives(words: &[&str]) -> String {
    match words {
        [only] => format!("`{only}`"),
        many => format!("one of {}", many.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
    }
}

//! Faults of an experiment file, first with a byte range, then with line and column.

use std::ops::Range;

/// A mistake in an experiment file. `Display` is the whole message, position first.
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

/// The faults of a file, in the order of their places: one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecErrors {
    /// One at least, 20 at most.
    pub faults: Vec<SpecError>,
    /// How many were found. Reading ends after 200.
    pub found: usize,
}

impl std::fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [only] = self.faults.as_slice() {
            return write!(f, "{only}");
        }
        let file = self.faults.first().map_or("", |fault| &fault.file);
        match self.found {
            all if all == self.faults.len() => write!(f, "{all} mistakes in {file}")?,
            FOUND_MAX => write!(f, "the first {} of {FOUND_MAX} or more mistakes in {file}", self.faults.len())?,
            all => write!(f, "the first {} of {all} mistakes in {file}", self.faults.len())?,
        }
        for fault in &self.faults {
            write!(f, "\n{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

/// Mistakes that a person wants to read at once.
const SHOWN_MAX: usize = 20;
/// Mistakes after which a file is not looked at any further.
pub(crate) const FOUND_MAX: usize = 200;

/// The faults found so far, each once: the variants of a sweep share theirs.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn push(&mut self, fault: Fault) {
        if !self.is_full() && !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// The value of a success; a fault is noted.
    pub(super) fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.push(fault)).ok()
    }

    /// Whether to look any further.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= FOUND_MAX
    }

    /// `value`, unless there are faults.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    pub(crate) fn into_errors(mut self, file: &str, text: &str) -> SpecErrors {
        let found = self.0.len();
        self.0.sort_by_key(Fault::start);
        self.0.truncate(SHOWN_MAX);
        SpecErrors { faults: self.0.into_iter().map(|fault| fault.into_error(file, text)).collect(), found }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// A fault while the file is read, by byte range.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `None` until a caller adds it, because serde's derived code does not know it.
    pub span: Option<Range<usize>>,
    pub key: String,
    pub message: String,
}

impl Fault {
    pub(crate) fn new(span: Range<usize>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { span: Some(span), key: key.into(), message: message.into() }
    }

    /// Where it begins in the text.
    pub(super) fn start(&self) -> usize {
        self.span.as_ref().map_or(0, |span| span.start)
    }

    /// Adds the span and key unless more precise ones are known.
    pub(super) fn or_at(self, span: &Range<usize>, key: &str) -> Self {
        match self.span {
            Some(_) => self,
            None => Self { span: Some(span.clone()), key: key.to_owned(), message: self.message },
        }
    }

    fn into_error(self, file: &str, text: &str) -> SpecError {
        let start = self.start().min(text.len());
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

//! Which formats there are.

use std::{path::Path, str::FromStr};

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with line feeds; what a spreadsheet would take for a formula is marked as text.
    Csv,
    /// A list with an object for each row, each on a line of its own.
    Json,
    /// A table of GitHub's Markdown.
    Markdown,
    /// `tabular` with the rules of the package booktabs.
    Latex,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

impl Format {
    pub const ALL: [Self; 5] = [Self::Csv, Self::Json, Self::Markdown, Self::Latex, Self::Parquet];

    /// `csv`, `json`, `md`, `latex`, `parquet`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Markdown => "md",
            Self::Latex => "latex",
            Self::Parquet => "parquet",
        }
    }

    /// Of a file that holds it, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Latex => "tex",
            other => other.name(),
        }
    }

    /// By the end of a file's name; `None` if that says nothing.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.ending() == ending)
    }

    /// For the header `Content-Type`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Latex => "application/x-latex",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether a terminal can show it.
    #[must_use]
    pub fn is_text(self) -> bool {
        self != Self::Parquet
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown format `{}`: expected one of {names}", text.escape_debug())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_a_name() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(
            (of("a.tex"), of("b.CSV"), of("c.latex"), of("csv")),
            (Some(Format::Latex), Some(Format::Csv), None, None)
        );
        assert_eq!(
            "xlsx".parse::<Format>().unwrap_err(),
            "unknown format `xlsx`: expected one of csv, json, md, latex, parquet"
        );
    }
}

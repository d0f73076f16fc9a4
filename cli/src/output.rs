//! What goes where: data to stdout, everything else to stderr. A closed stdout is no panic.

use std::{
    env,
    ffi::OsStr,
    io::{self, ErrorKind, IsTerminal, Write},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::{exit::PipeClosed, printable, render::table::Style};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    // No doc comments on the values: clap would spread its help over three times the lines.
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// `is_fit`: whether what reads stdout knows colours, and wants them.
    fn holds(self, is_fit: bool) -> bool {
        match self {
            Self::Auto => is_fit,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Whether colours are known to what reads stdout, and wanted; the last two are the variables NO_COLOR and TERM.
fn is_fit(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty) && !is_dumb(term)
}

/// A terminal that says of itself that it knows no escapes.
fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| term == "dumb")
}

/// Whether stderr can be drawn on: lines that change in place.
pub(crate) fn can_draw() -> bool {
    io::stderr().is_terminal() && !is_dumb(env::var_os("TERM").as_deref())
}

/// How a command shows what it found.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    style: Style,
    is_silent: bool,
}

impl Output {
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let terminal = io::stdout().is_terminal();
        let [no_color, term] = ["NO_COLOR", "TERM"].map(env::var_os);
        let color = color.holds(is_fit(terminal, no_color.as_deref(), term.as_deref()));
        let style = if terminal { Style::of_terminal(color) } else { Style { color, width: None } };
        Self { json, style, is_silent: false }
    }

    /// Without a word on stderr, for when nobody reads it.
    pub(crate) fn silent() -> Self {
        Self { json: false, style: Style::default(), is_silent: true }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Data for people, one or more lines.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        self.bytes(printable::page(text.trim_end_matches('\n'), self.style.color).as_bytes())
    }

    /// One JSON document, or one line of a stream of them.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<()> {
        self.bytes(&serde_json::to_vec(value).context("cannot write JSON")?)
    }

    /// As it is, for other programs.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(PipeClosed.into()),
            other => other.context("cannot write to stdout"),
        }
    }

    fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.raw(&[bytes, b"\n"].concat())
    }

    /// A remark, to stderr.
    pub(crate) fn note(&self, text: &str) {
        if self.is_silent {
            return;
        }
        // An error here has nowhere to go.
        let _ = writeln!(io::stderr().lock(), "{}", printable::page(text, false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_who_knows_them_unless_somebody_insists() {
        let color = |choice: Color, terminal, no_color: bool, term: Option<&str>| {
            choice.holds(is_fit(terminal, no_color.then_some(OsStr::new("1")), term.map(OsStr::new)))
        };
        assert!(color(Color::Auto, true, false, Some("xterm")) && color(Color::Auto, true, false, None));
        assert!(!color(Color::Auto, true, false, Some("dumb")));
        assert!(!color(Color::Auto, true, true, Some("xterm")) && !color(Color::Auto, false, false, Some("xterm")));
        assert!(color(Color::Always, false, true, Some("dumb")) && !color(Color::Never, true, false, Some("xterm")));
    }
}

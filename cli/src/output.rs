//! What goes where: data to stdout, everything else to stderr. A closed stdout is no panic.

use std::io::{self, ErrorKind, IsTerminal, Write};

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

/// A terminal that says of itself that it knows no escapes.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether stderr can be drawn on: lines that change in place.
pub(crate) fn can_draw() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// How a command shows what it found.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    style: Style,
}

impl Output {
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match color {
            Color::Auto => terminal && !no_color && !is_dumb(),
            Color::Always => true,
            Color::Never => false,
        };
        Self { json, style: Style { color, fit: terminal } }
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

    fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(PipeClosed.into()),
            other => other.context("cannot write to stdout"),
        }
    }

    /// A remark, to stderr.
    pub(crate) fn note(&self, text: &str) {
        // An error here has nowhere to go.
        let _ = writeln!(io::stderr().lock(), "{}", printable::page(text, false));
    }
}

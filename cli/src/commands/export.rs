//! Tables for other programs: `--format` and `--out`.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use clap::Args;
use tandem_tables::{Format, Heading, Table, Writer};

use crate::{
    exit::{Exit, Failure, PipeClosed},
    files::{self, NewFile},
};

#[derive(Args, Clone, Debug)]
pub(super) struct Export {
    /// csv, json, md, latex or parquet [default: by the ending of --out]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write into this file; - is stdout
    #[arg(long, value_name = "FILE", group = "file")]
    out: Option<PathBuf>,
}

impl Export {
    /// What a table of `what` is written as: `None` if neither option is given.
    ///
    /// # Errors
    /// If the file's name does not say it, or the terminal cannot show it.
    pub(super) fn format(&self, what: &str) -> Result<Option<Format>> {
        let by_ending = match self.file() {
            Some(path) if self.format.is_none() => {
                let format = Format::of(path).ok_or_else(|| {
                    let endings = Format::ALL.map(Format::ending).join(", .");
                    let message = format!(
                        "cannot write {what} into {}: its name ends with none of .{endings}; --format says what it is",
                        path.display()
                    );
                    Failure::error(Exit::Usage, message)
                })?;
                Some(format)
            }
            _ => None,
        };
        let format = self.format.or(by_ending);
        let is_screen = self.out.is_none() && io::stdout().is_terminal();
        match format {
            Some(format) if is_screen && !format.is_text() => {
                let message = format!("{} is nothing for a terminal: name a file with --out", format.name());
                Err(Failure::error(Exit::Usage, message))
            }
            None if self.out.is_some() => {
                let message = format!("--out -: --format says what {what} are written as");
                Err(Failure::error(Exit::Usage, message))
            }
            format => Ok(format),
        }
    }

    /// A file is made before anything is asked for: what cannot be written is said at once.
    pub(super) fn begin(&self, force: bool) -> Result<Destination> {
        let Some(path) = self.file() else { return Ok(Destination { file: None, force }) };
        files::check_free(path, force)?;
        files::remove_leftovers(path);
        Ok(Destination { file: Some((NewFile::create(path)?, path.to_owned())), force })
    }

    /// `None` for stdout.
    pub(super) fn file(&self) -> Option<&Path> {
        self.out.as_deref().filter(|path| *path != Path::new("-"))
    }
}

/// Where a table goes; a file has its name once all is in it.
pub(super) struct Destination {
    file: Option<(NewFile, PathBuf)>,
    force: bool,
}

impl Destination {
    /// What stands before the rows.
    pub(super) fn sheet(&mut self, format: Format, headings: &[Heading]) -> Result<Sheet<'_>> {
        let (to, path): (Box<dyn Write + Send>, _) = match &mut self.file {
            Some((file, path)) => (Box::new(file.writer()), Some(path.as_path())),
            None => (Box::new(io::stdout()), None),
        };
        let writer = Writer::new(to, format, headings).map_err(|error| failed(error, path))?;
        Ok(Sheet { writer, path })
    }

    /// The file; `None` for stdout.
    pub(super) fn place(&self) -> Option<&Path> {
        self.file.as_ref().map(|(_, path)| path.as_path())
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.file {
            Some((file, _)) => file.finish(self.force),
            None => Ok(()),
        }
    }

    /// A table that is whole.
    pub(super) fn write(mut self, format: Format, table: Table) -> Result<()> {
        let mut sheet = self.sheet(format, &table.headings())?;
        sheet.write(table)?;
        sheet.finish()?;
        self.finish()
    }
}

/// A table that is written part by part.
pub(super) struct Sheet<'d> {
    writer: Writer<Box<dyn Write + Send + 'd>>,
    path: Option<&'d Path>,
}

impl Sheet<'_> {
    pub(super) fn write(&mut self, rows: Table) -> Result<()> {
        let path = self.path;
        self.writer.write(rows).map_err(|error| failed(error, path))
    }

    pub(super) fn finish(self) -> Result<()> {
        let path = self.path;
        self.writer.finish().map(drop).map_err(|error| failed(error, path))
    }
}

fn failed(error: tandem_tables::Error, path: Option<&Path>) -> Error {
    match (error, path) {
        (tandem_tables::Error::Io(error), Some(path)) => files::cannot("write", path, &error),
        (tandem_tables::Error::Io(error), None) if error.kind() == ErrorKind::BrokenPipe => PipeClosed.into(),
        (error, Some(path)) => Error::new(error).context(format!("cannot write {}", path.display())),
        (error, None) => Error::new(error).context("cannot write to stdout"),
    }
}

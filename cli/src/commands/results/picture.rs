//! The file that a figure is written to: what it is by its name, and whether it can be written, before anything is asked for.

use std::path::Path;

use anyhow::Result;
use tandem_draw::file::Format;

use crate::{
    exit::{Exit, Failure},
    files::{self, NewFile},
};

pub(super) struct Picture {
    format: Format,
    file: NewFile,
    force: bool,
}

impl Picture {
    /// # Errors
    /// If its ending says no format, if it is there and not to be replaced, or if it cannot be made.
    pub(super) fn create(path: &Path, force: bool) -> Result<Self> {
        let Some(format) = Format::of(path) else {
            let endings = Format::ALL.map(Format::ending).join(", .");
            let message = format!("cannot draw into {}: a figure's name ends with one of .{endings}", path.display());
            return Err(Failure::error(Exit::Usage, message));
        };
        files::check_free(path, force)?;
        files::remove_leftovers(path);
        Ok(Self { format, file: NewFile::create(path)?, force })
    }

    pub(super) fn write(mut self, svg: &str, title: &str) -> Result<()> {
        self.file.write(&self.format.bytes(svg, title)?)?;
        self.file.finish(self.force)
    }
}

//! `tandem backup check`: whether an archive is whole. It needs no house.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tandem_archive::{Error, check};

use crate::{
    exit::{Exit, Failure},
    gauge::{Gauge, Unit},
    output::Output,
    render,
};

/// Read all of an archive and compare it with what it says of itself; needs no house
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem backup check /mnt/backup/house.tar

One altered byte is found. Who altered it on purpose can have made the sums
right: the archive is not signed, but the receipts in it are.")]
pub(crate) struct Check {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Check {
    pub(crate) fn run(self, output: &Output) -> Result<Exit> {
        let total = std::fs::metadata(&self.file).map_or(0, |meta| meta.len());
        let gauge = Gauge::new("checking", Unit::Bytes, total);
        let checked = check(&self.file, &mut |read| gauge.set(read));
        drop(gauge);
        let manifest = checked.map_err(|error| {
            let exit = match &error {
                Error::Read(error) if error.kind() == std::io::ErrorKind::NotFound => Exit::NotFound,
                Error::Read(_) => Exit::NotAllowed,
                Error::Format(_) => Exit::Config,
                _ => Exit::Damaged,
            };
            Failure::error(exit, format!("{}: {error}", self.file.display()))
        })?;
        if output.is_json() {
            output.document(&manifest)?;
        } else {
            output.text(&render::backup::checked(&manifest, total))?;
        }
        Ok(Exit::Ok)
    }
}

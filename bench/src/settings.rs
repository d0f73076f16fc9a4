use std::path::{Path, PathBuf};

use anyhow::Result;
use tandem_harness::Binaries;

/// How to measure, from the command line.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Pairs of blocks in each comparison.
    pub(crate) pairs: usize,
    /// Fake workers of the rows `load` and `backup`.
    pub(crate) workers: u32,
    /// How long the backup of the row `backup` reads.
    pub(crate) backup_minutes: u32,
    /// Of the long history of the row `ask`, and points of each of two curves of each.
    pub(crate) jobs: u32,
    pub(crate) points: u32,
    /// A Python that has the peers.
    pub(crate) python: PathBuf,
    /// A Python with MLflow.
    pub(crate) mlflow_python: PathBuf,
    /// A Python with the PyTorch that compiles.
    pub(crate) compiled_python: PathBuf,
    pub(crate) bin_dir: PathBuf,
}

impl Settings {
    /// # Errors
    /// When one is missing.
    pub(crate) fn binaries(&self) -> Result<Binaries> {
        Binaries::in_folder(&self.bin_dir)
    }
}

/// This crate's folder in the source tree, where the peers are.
pub(crate) fn source_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

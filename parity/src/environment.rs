//! What all parts share: the peers' Python, the images, and which parts are to fail.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tandem_domain::spec::Dataset;
use tandem_learn::data::{self, Data};
use tch::Device;

use crate::args::{Args, Part};

/// Seed of everything that is drawn, so that every run gives the same figures.
pub(crate) const SEED: u64 = 1;

pub(crate) struct Environment {
    pub(crate) python: PathBuf,
    pub(crate) data_dir: Option<PathBuf>,
    /// Test images that are attacked.
    pub(crate) images: u32,
    broken: Vec<Part>,
}

impl Environment {
    pub(crate) fn new(args: &Args) -> Result<Self> {
        let python = args.python.clone().unwrap_or_else(|| folder().join(".venv/bin/python"));
        ensure!(python.exists(), "there is no {}: run parity/setup", python.display());
        let threads = std::thread::available_parallelism()?.get();
        tch::set_num_threads(i32::try_from(threads)?);
        let (data_dir, broken) = (args.data.clone(), args.broken.clone());
        Ok(Self { python, data_dir, images: args.images, broken })
    }

    /// Whether the peers of `part` are to get other inputs than ours, so that its rows must fail.
    pub(crate) fn breaks(&self, part: Part) -> bool {
        self.broken.contains(&part) || self.broken.contains(&Part::All)
    }

    pub(crate) fn dataset(&self) -> Dataset {
        if self.data_dir.is_some() { Dataset::Cifar10 } else { Dataset::Shapes }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        // Shapes are drawn: no folder is read.
        self.data_dir.as_deref().unwrap_or(Path::new("."))
    }

    /// Natural images where a data folder is given, else synthetic ones.
    pub(crate) fn load(&self) -> Result<Data> {
        data::load(&self.dataset(), self.data_dir(), SEED, Device::Cpu)
            .with_context(|| format!("loading {} from {}", self.dataset(), self.data_dir().display()))
    }
}

/// This crate's folder in the source tree, where the peers are.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

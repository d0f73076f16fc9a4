//! Shared libraries that are opened at run time. None is ever closed: libtorch keeps pointers into them.

use std::path::Path;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};

use super::raw;
use crate::Error;

static PLUGIN: OnceLock<Result<raw::NcclBackend, String>> = OnceLock::new();

/// Whether the system's loader finds a library of this name.
pub(crate) fn opens(name: &str) -> bool {
    // SAFETY: used for NVIDIA's driver library, whose initialisers may run at any time; it is kept open.
    unsafe { Library::open(Some(name), RTLD_LAZY | RTLD_LOCAL) }.map(std::mem::forget).is_ok()
}

/// Opens a library for good, with its symbols visible to libraries that are opened later.
pub(crate) fn open_global(path: &Path) -> Result<(), libloading::Error> {
    // SAFETY: used for libtorch_cuda of the very libtorch that is linked; its initialisers register CUDA's kernels with
    // libtorch_cpu, which is loaded.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.map(std::mem::forget)
}

/// Opens the NCCL plugin for good; libtorch_cuda must be open. Groups on GPUs report a failure again.
pub(crate) fn open_plugin(path: &Path) -> Result<(), String> {
    let opened =
        PLUGIN.get_or_init(|| plugin(path).map_err(|error| format!("cannot open {}: {error}", path.display())));
    opened.as_ref().map(drop).map_err(String::clone)
}

fn plugin(path: &Path) -> Result<raw::NcclBackend, libloading::Error> {
    // SAFETY: the plugin is built from csrc/nccl by build.rs and has no initialisers of its own; the symbol's type is
    // the one that backend.cpp defines, and it stays valid because the library is never closed.
    unsafe {
        let library = Library::open(Some(path), RTLD_NOW | RTLD_LOCAL)?;
        let function = *library.get::<raw::NcclBackend>(b"tandem_nccl_backend\0")?;
        std::mem::forget(library);
        Ok(function)
    }
}

pub(super) fn nccl_backend() -> Result<raw::NcclBackend, Error> {
    match PLUGIN.get() {
        Some(Ok(function)) => Ok(*function),
        Some(Err(error)) => Err(Error::Unavailable(format!(
            "the NCCL plugin, without which ranks on GPUs cannot form a group, is missing: {error}; run `make setup` and build again"
        ))),
        None => Err(Error::Unavailable(
            "CUDA is not loaded: call cuda::load() at the start, before any other use of libtorch".into(),
        )),
    }
}

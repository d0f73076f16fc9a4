//! CUDA is loaded at run time: the binaries link libtorch_cpu only, so that they run on hosts with and without GPUs.
//! Tested on hosts without a driver, not yet on a GPU.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Error, ffi};

static LOADED: OnceLock<Result<bool, Error>> = OnceLock::new();

const LIBTORCH: &str = "libtorch_cpu.so";
const PLUGIN: &str = "libtandem_nccl.so";

/// Loads libtorch's CUDA half and the NCCL plugin if this machine has an NVIDIA driver; `Ok(false)` if it has none.
///
/// Call it before anything else uses libtorch, which asks once whether there is CUDA and remembers the answer. Later
/// calls return the first one's result.
pub fn load() -> Result<bool, Error> {
    LOADED.get_or_init(open).clone()
}

/// Sets whether this process's CUDA devices round the operands of f32 convolutions and matrix products to TF32 (GPUs
/// since Ampere can). libtorch's default is to do so in convolutions only.
pub fn set_tf32(allowed: bool) -> Result<(), Error> {
    ffi::set_tf32(allowed)
}

/// The setting of [`set_tf32`], for convolutions and for matrix products.
pub fn tf32() -> Result<(bool, bool), Error> {
    ffi::tf32()
}

/// Fails with the reason if [`load`] did not make GPUs usable.
pub(crate) fn available() -> Result<(), Error> {
    match LOADED.get() {
        Some(Ok(true)) => Ok(()),
        Some(Ok(false)) => Err(Error::Unavailable(
            "this machine has no NVIDIA driver (libcuda.so.1 was not found): run this job on CPU workers".into(),
        )),
        Some(Err(error)) => Err(error.clone()),
        None => Err(Error::Unavailable(
            "CUDA is not loaded: cuda::load() must be called before any other use of libtorch".into(),
        )),
    }
}

fn open() -> Result<bool, Error> {
    if !ffi::opens("libcuda.so.1") {
        return Ok(false);
    }
    let maps = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| Error::Unavailable(format!("cannot read /proc/self/maps to find libtorch: {error}")))?;
    let folder = folder_of(LIBTORCH, &maps)
        .ok_or_else(|| Error::Unavailable(format!("{LIBTORCH} is not loaded, so its CUDA half cannot be found")))?;
    // Only groups need the plugin: they report a missing one.
    let _ = open_in(&folder)?;
    Ok(true)
}

/// Opens libtorch's CUDA half in `folder`, then the plugin, which needs its symbols; the inner result is the plugin's.
fn open_in(folder: &Path) -> Result<Result<(), String>, Error> {
    let cuda = folder.join("libtorch_cuda.so");
    ffi::open_global(&cuda).map_err(|error| {
        Error::Unavailable(format!(
            "this machine has an NVIDIA driver, but {} cannot be loaded: {error}; `make setup` installs the CUDA libraries that it needs",
            cuda.display()
        ))
    })?;
    Ok(ffi::open_plugin(&beside_binary(PLUGIN)))
}

/// The folder from which a library was loaded, from the process's memory map.
fn folder_of(library: &str, maps: &str) -> Option<PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| path.file_name().is_some_and(|name| name == library))
        .and_then(|path| path.parent().map(Path::to_owned))
}

/// A file beside the running binary or one folder up: cargo puts tests and examples one folder below the binaries.
fn beside_binary(name: &str) -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    binary
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| binary.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make setup` leaves the CUDA half out on a host without a driver; the benchmark's PyTorch, the same build, has
    /// it.
    #[test]
    fn the_plugin_resolves_against_libtorch_cuda() {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/.venv/lib");
        let folders = std::fs::read_dir(&peers).into_iter().flatten().flatten();
        let mut folders = folders.map(|python| python.path().join("site-packages/torch/lib"));
        let Some(folder) = folders.find(|folder| folder.join("libtorch_cuda.so").exists()) else {
            eprintln!("SKIPPED: no libtorch_cuda.so below {}; bench/setup installs one", peers.display());
            return;
        };
        assert_eq!(open_in(&folder).unwrap(), Ok(()));
    }

    #[test]
    fn tf32_is_what_was_set() {
        for allowed in [false, true, false] {
            set_tf32(allowed).unwrap();
            assert_eq!(tf32().unwrap(), (allowed, allowed));
        }
    }

    #[test]
    fn finds_the_folder_of_a_loaded_library() {
        let maps = "\
55d0-55d1 r--p 00000000 fe:01 12 /usr/bin/tandem
7f00-7f01 r--p 00000000 fe:01 34 /opt/my libs/torch/lib/libtorch_cpu.so
7f01-7f02 rw-p 00000000 00:00 0
7f02-7f03 r--p 00000000 fe:01 56 /opt/other/libtorch_cpu.so.1
";
        assert_eq!(folder_of(LIBTORCH, maps), Some(PathBuf::from("/opt/my libs/torch/lib")));
        assert_eq!(folder_of("libtorch_cuda.so", maps), None);
    }
}

//! CUDA is loaded at run time, so that one set of binaries serves hosts with and without GPUs: they link libtorch_cpu
//! only. Untested on a GPU so far; what was tried is a host without a driver.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Error, ffi};

static LOADED: OnceLock<Result<bool, Error>> = OnceLock::new();

const LIBTORCH: &str = "libtorch_cpu.so";
const PLUGIN: &str = "libtandem_nccl.so";

/// Loads libtorch's CUDA half and the NCCL plugin where this machine has an NVIDIA driver; `Ok(false)` is no driver.
///
/// Call it before anything else touches libtorch: it asks once whether there is CUDA and remembers the answer. Later
/// calls repeat the first one's answer.
pub fn load() -> Result<bool, Error> {
    LOADED.get_or_init(open).clone()
}

/// Whether ranks on CUDA devices can form a group.
///
/// # Errors
/// What is lacking, or that [`load`] found no driver.
pub fn nccl() -> Result<(), Error> {
    available()?;
    ffi::open_plugin(&beside_binary(PLUGIN)).map_err(Error::Unavailable)
}

/// Whether this process's CUDA devices round the operands of f32 convolutions and matrix products to TF32, which those
/// since Ampere can. libtorch's own default is to do so in convolutions only.
pub fn set_tf32(allowed: bool) -> Result<(), Error> {
    ffi::set_tf32(allowed)
}

/// As [`set_tf32`] left it: of convolutions, and of matrix products.
pub fn tf32() -> Result<(bool, bool), Error> {
    ffi::tf32()
}

/// What stands in the way of working on a GPU, if [`load`] met something.
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
    // A missing plugin is told to those who want a group.
    let _ = open_in(&folder)?;
    Ok(true)
}

/// Opens libtorch's CUDA half in `folder`, then the plugin, whose symbols it resolves; the inner result is the plugin's.
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

/// The folder from which a library was loaded, by the process's memory map.
fn folder_of(library: &str, maps: &str) -> Option<PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| path.file_name().is_some_and(|name| name == library))
        .and_then(|path| path.parent().map(Path::to_owned))
}

/// Beside the running binary, or one folder up: cargo puts tests and examples a folder below the binaries.
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

    /// `make setup` installs no CUDA libraries on a host without a driver; the benchmark's PyTorch, of the same build, has
    /// them.
    #[test]
    #[ignore = "needs libtorch_cuda.so, which bench/setup installs"]
    fn the_plugin_resolves_against_libtorch_cuda() {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/.venv/lib");
        let folders = std::fs::read_dir(&peers).into_iter().flatten().flatten();
        let mut folders = folders.map(|python| python.path().join("site-packages/torch/lib"));
        let folder = folders.find(|folder| folder.join("libtorch_cuda.so").exists());
        let folder = folder.unwrap_or_else(|| panic!("no libtorch_cuda.so below {}", peers.display()));
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

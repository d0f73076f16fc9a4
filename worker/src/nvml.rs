//! NVML: its library is loaded when it is needed, as a host without a driver is a host without a GPU.

use std::{ffi::OsStr, path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use nvml_wrapper::{Nvml, error::NvmlError};
use tandem_proto::v1;

/// As drivers install it; the second name is that of packages for developers, which some machines have alone.
const NAMES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// One card, by its index in NVML's order (that of `nvidia-smi`).
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) nvml: Arc<Nvml>,
    pub(crate) index: u32,
}

impl Card {
    /// Finds the card and what it is. `library`: what is loaded in place of the driver's.
    pub(crate) fn open(index: u32, library: Option<&Path>) -> anyhow::Result<(Self, v1::Device)> {
        let nvml = load(library)?;
        let description = describe(&nvml, index).with_context(|| {
            let count = nvml.device_count().unwrap_or_default();
            format!("NVML knows no usable GPU {index} (it counts {count}, from 0)")
        })?;
        Ok((Self { nvml: Arc::new(nvml), index }, description))
    }
}

fn load(library: Option<&Path>) -> anyhow::Result<Nvml> {
    let open = |name: &OsStr| Nvml::builder().lib_path(name).init();
    if let Some(library) = library {
        return open(library.as_os_str())
            .map_err(|error| anyhow!("cannot use {} as NVML: {error}; leave --nvml out", library.display()));
    }
    let mut tried = NAMES.iter().map(|name| open(name.as_ref()));
    let first = tried.next().unwrap_or(Err(NvmlError::LibraryNotFound));
    let found = match first {
        Err(NvmlError::LibloadingError(error)) => {
            tried.next().and_then(Result::ok).ok_or(NvmlError::LibloadingError(error))
        }
        other => other,
    };
    found.map_err(|error| anyhow!("no NVIDIA driver was found on this host: {error}"))
}

fn describe(nvml: &Nvml, index: u32) -> Result<v1::Device, NvmlError> {
    let device = nvml.device_by_index(index)?;
    Ok(v1::Device {
        kind: "cuda".to_owned(),
        index,
        name: device.name()?,
        uuid: device.uuid()?,
        memory_bytes: device.memory_info()?.total,
        cores: 0,
        driver: nvml.sys_driver_version()?,
    })
}

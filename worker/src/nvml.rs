//! NVML: its library is loaded when it is needed, as a host without a driver is a host without a GPU.

use std::{ffi::OsStr, path::Path, sync::Arc};

use anyhow::anyhow;
use nvml_wrapper::{Nvml, error::NvmlError};
use serde::{Deserialize, Serialize};
use tandem_durable::Mode;
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
    /// Finds the card and what it is. `library`: what is loaded in place of the driver's. `state`: the folder where it is remembered, so that
    /// one that is lost by now is still known: whoever gives devices out is told why nobody gets it.
    pub(crate) fn open(index: u32, library: Option<&Path>, state: Option<&Path>) -> anyhow::Result<(Self, v1::Device)> {
        let nvml = load(library)?;
        let file = state.map(|state| state.join("card.json"));
        let description = match (describe(&nvml, index), file) {
            (Ok(found), file) => {
                if let Some(file) = file {
                    remember(&file, &found);
                }
                found
            }
            (Err(NvmlError::GpuLost | NvmlError::ResetRequired), file) => {
                let known = file.and_then(|file| recall(&file, index)).ok_or_else(|| {
                    anyhow!(
                        "GPU {index} has fallen off the bus, or must be reset: its driver says that it is lost; restart the machine"
                    )
                })?;
                tracing::warn!(
                    card = known.name,
                    "the card is lost: nobody is given it until its driver finds it again"
                );
                known
            }
            (Err(error), _) => {
                let count = nvml.device_count().unwrap_or_default();
                let message = format!("NVML knows no usable GPU {index} (it counts {count}, from 0)");
                return Err(anyhow::Error::new(error).context(message));
            }
        };
        Ok((Self { nvml: Arc::new(nvml), index }, description))
    }
}

/// A card as it was when it was last seen.
#[derive(Deserialize, Serialize)]
struct Remembered {
    index: u32,
    name: String,
    uuid: String,
    memory_bytes: u64,
    driver: String,
}

/// That it cannot be remembered matters only once it is lost.
fn remember(file: &Path, card: &v1::Device) {
    let v1::Device { index, name, uuid, memory_bytes, driver, .. } = card.clone();
    let written = serde_json::to_vec(&Remembered { index, name, uuid, memory_bytes, driver })
        .map_err(std::io::Error::from)
        .and_then(|text| tandem_durable::replace(file, &text, Mode::Private));
    if let Err(error) = written {
        tracing::debug!(%error, "what card this is cannot be remembered in {}", file.display());
    }
}

fn recall(file: &Path, index: u32) -> Option<v1::Device> {
    let known: Remembered = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let Remembered { index: of, name, uuid, memory_bytes, driver } = known;
    (of == index).then(|| v1::Device { kind: "cuda".to_owned(), index, name, uuid, memory_bytes, cores: 0, driver })
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

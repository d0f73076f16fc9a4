//! One GPU through NVML. Its library is loaded when it is needed: a host without a driver is a host without a GPU.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow};
use nvml_wrapper::{Device, Nvml, enum_wrappers::device::TemperatureSensor, error::NvmlError};
use tandem_proto::v1;

/// How often NVML is asked.
const SAMPLE: Duration = Duration::from_secs(2);

/// A device, sampled by a thread: NVML can block for seconds on a faulty GPU, and heartbeats must not wait for it.
pub(crate) struct Gpu {
    description: v1::Device,
    newest: Arc<Mutex<Sample>>,
}

#[derive(Clone, Default)]
struct Sample {
    facts: v1::DeviceFacts,
    processes: Vec<u32>,
}

impl Gpu {
    /// Finds the device with this index, in NVML's order (that of `nvidia-smi`).
    pub(crate) fn open(index: u32) -> anyhow::Result<Self> {
        let nvml = Nvml::init().map_err(|error| anyhow!("no NVIDIA driver was found on this host: {error}"))?;
        let description = describe(&nvml, index).with_context(|| {
            let count = nvml.device_count().unwrap_or_default();
            format!("NVML knows no usable GPU {index} (it counts {count}, from 0)")
        })?;
        let newest = Arc::new(Mutex::new(Sample::default()));
        let slot = Arc::clone(&newest);
        let name = format!("nvml-{index}");
        // Runs until the worker's process ends.
        let watch = move || loop {
            if let Ok(device) = nvml.device_by_index(index) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = sample(&device);
            }
            thread::sleep(SAMPLE);
        };
        thread::Builder::new().name(name).spawn(watch).context("cannot start the thread that watches the GPU")?;
        Ok(Self { description, newest })
    }

    pub(crate) fn description(&self) -> v1::Device {
        self.description.clone()
    }

    pub(crate) fn facts(&self, rank_pid: Option<u32>) -> v1::DeviceFacts {
        let Sample { facts, processes } = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let foreign = processes.iter().filter(|&&pid| Some(pid) != rank_pid).count();
        v1::DeviceFacts { foreign_processes: u32::try_from(foreign).unwrap_or(u32::MAX), ..facts }
    }
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

/// What the device reports; a fact that this kind of card does not report is 0.
fn sample(device: &Device<'_>) -> Sample {
    let facts = v1::DeviceFacts {
        utilization_percent: device.utilization_rates().map_or(0, |rates| rates.gpu),
        memory_used_bytes: device.memory_info().map_or(0, |memory| memory.used),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).unwrap_or(0),
        power_watts: device.power_usage().unwrap_or(0) / 1000,
        foreign_processes: 0,
    };
    let processes = device.running_compute_processes().unwrap_or_default();
    Sample { facts, processes: processes.iter().map(|process| process.pid).collect() }
}

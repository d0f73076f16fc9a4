//! What the worker holds: one CUDA device or one CPU slot. How it is now says `sampling`.

use std::{fmt, fs, num::NonZero, path::Path, str::FromStr, thread};

use anyhow::Context;
use tandem_proto::v1;

use crate::nvml::Card;

/// As written on the command line: `cpu` or `cuda:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceName {
    Cpu,
    Cuda(u32),
}

impl FromStr for DeviceName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", index)) if index.parse::<u32>().is_ok() => Ok(Self::Cuda(index.parse().unwrap_or_default())),
            _ => Err("expected cpu, or cuda:N where N counts as in nvidia-smi".to_owned()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The device that was found.
pub(crate) struct Device {
    pub(crate) description: v1::Device,
    /// None of a CPU slot.
    pub(crate) card: Option<Card>,
}

impl Device {
    /// Finds the device. `threads` is how many cores a CPU slot reports, all if `None`; `nvml` what is loaded in place of the
    /// driver's library, and `state` the folder where a card is remembered.
    pub(crate) fn open(
        name: DeviceName,
        threads: Option<NonZero<u32>>,
        nvml: Option<&Path>,
        state: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let cores = match threads {
            Some(threads) => threads.get(),
            None => thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        };
        match name {
            DeviceName::Cpu => {
                let read = |path| fs::read_to_string(path).unwrap_or_default();
                let description = v1::Device {
                    kind: "cpu".to_owned(),
                    name: processor_name(&read("/proc/cpuinfo")),
                    memory_bytes: memory_bytes(&read("/proc/meminfo")),
                    cores,
                    ..Default::default()
                };
                Ok(Self { description, card: None })
            }
            DeviceName::Cuda(index) => {
                let (card, description) = Card::open(index, nvml, state)
                    .with_context(|| format!("cannot use {name}; `--device cpu` needs no GPU"))?;
                Ok(Self { description: v1::Device { cores, ..description }, card: Some(card) })
            }
        }
    }

    /// For the rank: the name of its device, and the value of `CUDA_VISIBLE_DEVICES` that hides all others.
    pub(crate) fn for_rank(&self) -> (&'static str, String) {
        match self.card {
            // By UUID: CUDA may count devices in another order than NVML.
            Some(_) => ("cuda:0", self.description.uuid.clone()),
            None => ("cpu", String::new()),
        }
    }
}

/// By what `/proc/cpuinfo` says.
pub(crate) fn processor_name(cpuinfo: &str) -> String {
    // x86 kernels write "model name"; many ARM kernels name no model.
    let named = cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == "model name");
    named.map_or_else(|| format!("{} processor", std::env::consts::ARCH), |(_, value)| value.trim().to_owned())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_in_nvidia_smi() {
        assert_eq!("cpu".parse(), Ok(DeviceName::Cpu));
        assert_eq!("cuda:3".parse(), Ok(DeviceName::Cuda(3)));
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""] {
            assert!(wrong.parse::<DeviceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn processors_and_memory_are_read_from_proc() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Processor @ 2.60GHz\n";
        assert_eq!(processor_name(cpuinfo), "Intel(R) Xeon(R) Processor @ 2.60GHz");
        assert!(processor_name("processor : 0\nBogoMIPS : 50\n").ends_with(" processor"));
        assert_eq!(memory_bytes("MemTotal:       24602292 kB\nMemFree: 1 kB\n"), 24_602_292 << 10);
        assert_eq!(memory_bytes(""), 0);
    }

    #[test]
    fn a_cpu_slot_says_what_it_is() {
        let slot = Device::open(DeviceName::Cpu, NonZero::new(2), None, None).unwrap();
        assert_eq!((slot.description.kind.as_str(), slot.description.cores), ("cpu", 2));
        assert_eq!(slot.for_rank(), ("cpu", String::new()));
    }
}

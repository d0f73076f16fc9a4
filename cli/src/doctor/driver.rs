//! Asks NVIDIA's driver, by its library NVML, about this machine's cards.

use std::{env, fs};

use nvml_wrapper::{
    Device, Nvml,
    bitmasks::device::ThrottleReasons,
    enum_wrappers::device::{P2pCapabilitiesIndex, P2pStatus, TemperatureSensor},
    error::NvmlError,
};

use super::{
    card::{Card, Cards, NoDriver, judge},
    check::Check,
};
use crate::up::plan::count_gpus;

/// Another library in place of the driver's, as the worker takes it.
const LIBRARY: &str = "TANDEM_NVML";
/// More cards than any box has; pairs of these are asked for.
const CARDS_MAX: u32 = 64;
const PAIRS_AMONG: usize = 16;
const NVIDIA: &str = "0x10de";

/// The driver, each card, and how they reach each other.
pub(crate) fn look() -> Vec<Check> {
    judge(ask(), on_the_bus(), nodes())
}

fn ask() -> Result<Cards, NoDriver> {
    let library = env::var_os(LIBRARY).filter(|library| !library.is_empty());
    let nvml = match &library {
        Some(library) => Nvml::builder().lib_path(library).init(),
        None => Nvml::init(),
    };
    let nvml = nvml.map_err(|error| match error {
        error if library.is_some() => NoDriver::Named(error.to_string()),
        NvmlError::LibloadingError(error) => NoDriver::NoLibrary(error.to_string()),
        NvmlError::LibRmVersionMismatch => NoDriver::OtherVersion,
        NvmlError::DriverNotLoaded => NoDriver::NotLoaded("it is installed, and not loaded".to_owned()),
        other => NoDriver::Other(other.to_string()),
    })?;
    let count = nvml.device_count().map_err(|error| NoDriver::Other(format!("cannot count the cards: {error}")))?;
    let cuda = nvml.sys_cuda_driver_version().map(|cuda| format!("{}.{}", cuda / 1000, cuda % 1000 / 10));
    let devices: Vec<(u32, Result<Device<'_>, NvmlError>)> =
        (0..count.min(CARDS_MAX)).map(|index| (index, nvml.device_by_index(index))).collect();
    let pairs = pairs(&devices);
    Ok(Cards {
        driver: nvml.sys_driver_version().unwrap_or_else(|error| format!("of no known version ({error})")),
        cuda: cuda.unwrap_or_else(|_| "?".to_owned()),
        cards: devices.iter().map(|(index, device)| card(*index, device.as_ref())).collect(),
        known_pairs: pairs.len(),
        apart: pairs.into_iter().filter(|(_, reach)| !reach).map(|(pair, _)| pair).collect(),
    })
}

fn card(index: u32, device: Result<&Device<'_>, &NvmlError>) -> Card {
    let unknown = |name: String, error: &dyn std::fmt::Display| Card {
        index,
        name,
        problem: Some(error.to_string()),
        ..Card::default()
    };
    let device = match device {
        Ok(device) => device,
        Err(error) => return unknown("a card".to_owned(), error),
    };
    let name = device.name().unwrap_or_else(|_| "a card".to_owned());
    let memory = match device.memory_info() {
        Ok(memory) => Some((memory.used, memory.total)),
        Err(NvmlError::NotSupported) => None,
        // What is lost answers nothing; the first answer says so.
        Err(error) => return unknown(name, &error),
    };
    Card {
        index,
        name,
        capability: device.cuda_compute_capability().ok().map(|capability| (capability.major, capability.minor)),
        memory,
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        throttled: device.current_throttle_reasons().map(in_words).unwrap_or_default(),
        processes: device.running_compute_processes().map_or(0, |processes| processes.len()),
        problem: None,
    }
}

/// Only what is wrong: idle clocks and a power cap that was set are not.
fn in_words(reasons: ThrottleReasons) -> Vec<String> {
    let words = [
        (ThrottleReasons::HW_THERMAL_SLOWDOWN | ThrottleReasons::SW_THERMAL_SLOWDOWN, "slowed down by heat"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "slowed down by its power supply"),
        (ThrottleReasons::HW_SLOWDOWN, "slowed down by its hardware"),
    ];
    let found = words.into_iter().filter(|(reason, _)| reasons.intersects(*reason));
    found.map(|(_, words)| words.to_owned()).collect()
}

/// Pairs of cards, with whether one reaches the memory of the other; of those that the driver says it of.
fn pairs(devices: &[(u32, Result<Device<'_>, NvmlError>)]) -> Vec<((u32, u32), bool)> {
    let known: Vec<_> = devices.iter().filter_map(|(index, device)| Some((*index, device.as_ref().ok()?))).collect();
    let known = &known[..known.len().min(PAIRS_AMONG)];
    let pairs = known.iter().enumerate().flat_map(|(at, one)| known[at + 1..].iter().map(move |other| (one, other)));
    let reach = pairs.filter_map(|((first, one), (second, other))| {
        let status = one.p2p_status(other, P2pCapabilitiesIndex::Read).ok()?;
        Some(((*first, *second), matches!(status, P2pStatus::Ok)))
    });
    reach.collect()
}

#[cfg(target_os = "linux")]
const BUS: &str = "/sys/bus/pci/devices";

/// NVIDIA's graphics cards on the PCI bus, whether there is a driver or not.
#[cfg(not(target_os = "linux"))]
fn on_the_bus() -> usize {
    0
}

/// NVIDIA's graphics cards on the PCI bus, whether there is a driver or not.
#[cfg(target_os = "linux")]
fn on_the_bus() -> usize {
    let Ok(devices) = fs::read_dir(BUS) else { return 0 };
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    let cards = devices.flatten().filter(|device| {
        // Class 03: display controllers, with or without a plug.
        read(device.path().join("vendor")).trim() == NVIDIA && read(device.path().join("class")).starts_with("0x03")
    });
    cards.count()
}

/// `/dev/nvidia0` and so on.
fn nodes() -> usize {
    usize::try_from(count_gpus()).unwrap_or_default()
}

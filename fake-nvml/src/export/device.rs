//! What a card says of itself.
#![expect(unsafe_code, reason = "functions that C code calls by their names")]

use std::ffi::{c_char, c_int, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{
    nvmlClockType_t, nvmlDevice_t, nvmlGpuP2PStatus_t, nvmlMemory_v2_t,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED, nvmlReturn_t, nvmlUtilization_t,
};

use super::handle::{index, put, put_text};
use crate::{
    boxes::{Card, Pcie},
    play::{energy_so_far, of_card},
};

/// A function that writes one figure of a card.
macro_rules! figure {
    ($name:ident, $kind:ty, $of:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(device: nvmlDevice_t, to: *mut $kind) -> nvmlReturn_t {
            let of: fn(&Card) -> Option<$kind> = $of;
            // SAFETY: as NVML asks of its callers.
            unsafe { put(to, of_card(index(device), |card| of(card).ok_or(NOT_SUPPORTED))) }
        }
    };
    // With a number that says which of several.
    ($name:ident[$which:ty], $kind:ty, $of:expr) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(device: nvmlDevice_t, which: $which, to: *mut $kind) -> nvmlReturn_t {
            let of: fn(&Card, $which) -> Option<$kind> = $of;
            // SAFETY: as NVML asks of its callers.
            unsafe { put(to, of_card(index(device), |card| of(card, which).ok_or(NOT_SUPPORTED))) }
        }
    };
}

/// As `nvmlClockType_t` numbers them.
const SM: nvmlClockType_t = 1;
const MEMORY: nvmlClockType_t = 2;

fn pcie(card: &Card, of: fn(&Pcie) -> c_uint) -> Option<c_uint> {
    card.pcie.as_ref().map(of)
}

figure!(nvmlDeviceGetUtilizationRates, nvmlUtilization_t, |card| {
    card.utilization.map(|gpu| nvmlUtilization_t { gpu, memory: 0 })
});
figure!(nvmlDeviceGetTemperature[c_uint], c_uint, |card, _| card.temperature);
figure!(nvmlDeviceGetPowerUsage, c_uint, |card| card.power_mw);
figure!(nvmlDeviceGetTotalEnergyConsumption, c_ulonglong, |card| card.energy_mw.map(energy_so_far));
figure!(nvmlDeviceGetClockInfo[nvmlClockType_t], c_uint, |card, which| match which {
    SM => card.sm_clock,
    MEMORY => card.memory_clock,
    _ => None,
});
figure!(nvmlDeviceGetMaxClockInfo[nvmlClockType_t], c_uint, |card, which| match which {
    SM => card.sm_clock_max,
    MEMORY => card.memory_clock_max,
    _ => None,
});
figure!(nvmlDeviceGetCurrentClocksThrottleReasons, c_ulonglong, |card| card.throttle);
figure!(nvmlDeviceGetPcieThroughput[c_uint], c_uint, |card, which| match which {
    0 => pcie(card, |pcie| pcie.tx_kb_per_s),
    _ => pcie(card, |pcie| pcie.rx_kb_per_s),
});
figure!(nvmlDeviceGetCurrPcieLinkGeneration, c_uint, |card| pcie(card, |pcie| pcie.generation));
figure!(nvmlDeviceGetCurrPcieLinkWidth, c_uint, |card| pcie(card, |pcie| pcie.width));
figure!(nvmlDeviceGetMaxPcieLinkGeneration, c_uint, |card| pcie(card, |pcie| pcie.max_generation));
figure!(nvmlDeviceGetMaxPcieLinkWidth, c_uint, |card| pcie(card, |pcie| pcie.max_width));

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(device: nvmlDevice_t, to: *mut c_char, room: c_uint) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { put_text(to, room, of_card(index(device), |card| Ok(card.name.clone()))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(device: nvmlDevice_t, to: *mut c_char, room: c_uint) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { put_text(to, room, of_card(index(device), |card| Ok(card.uuid.clone()))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: nvmlDevice_t, to: *mut nvmlMemory_v2_t) -> nvmlReturn_t {
    let memory = of_card(index(device), |card| {
        let (total, used) = (card.memory_total, card.memory_used);
        // As the struct has it: its size, and above that the number 2.
        let version = size_of::<nvmlMemory_v2_t>() as c_uint | 2 << 24;
        Ok(nvmlMemory_v2_t { version, total, reserved: 0, free: total.saturating_sub(used), used })
    });
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, memory) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    kind: c_uint,
    _since: c_uint,
    to: *mut c_ulonglong,
) -> nvmlReturn_t {
    // 0 are those that were corrected.
    let count = of_card(index(device), |card| match (kind, card.ecc_errors) {
        (_, None) => Err(NOT_SUPPORTED),
        (0, _) => Ok(0),
        (_, Some(count)) => Ok(count),
    });
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, count) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: nvmlDevice_t,
    major: *mut c_int,
    minor: *mut c_int,
) -> nvmlReturn_t {
    let capability = of_card(index(device), |card| Ok(card.compute_capability));
    // SAFETY: as NVML asks of its callers.
    match unsafe { put(major, capability.map(|known| known.0)) } {
        // SAFETY: as above.
        0 => unsafe { put(minor, capability.map(|known| known.1)) },
        error => error,
    }
}

/// Cards of a box reach each other.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetP2PStatus(
    one: nvmlDevice_t,
    other: nvmlDevice_t,
    _what: c_uint,
    to: *mut nvmlGpuP2PStatus_t,
) -> nvmlReturn_t {
    let status = of_card(index(one), |_| Ok(())).and_then(|()| of_card(index(other), |_| Ok(0)));
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, status) }
}

//! Which processes use a card.
#![expect(unsafe_code, reason = "functions that C code calls by their names")]

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlProcessInfo_t, nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE as INSUFFICIENT_SIZE,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
    nvmlReturn_t,
};

use super::handle::index;
use crate::{
    boxes::{Card, Process},
    play::of_card,
};

/// What NVML says where it does not know.
const NOT_AVAILABLE: c_ulonglong = c_ulonglong::MAX;

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    to: *mut nvmlProcessInfo_t,
) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { list(device, count, to, |card| card.processes.clone()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    to: *mut nvmlProcessInfo_t,
) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { list(device, count, to, |card| card.drawing.clone()) }
}

/// # Safety
/// `count` may be read and written, and as many places of `to` as it says may be written.
unsafe fn list(
    device: nvmlDevice_t,
    count: *mut c_uint,
    to: *mut nvmlProcessInfo_t,
    of: fn(&Card) -> Vec<Process>,
) -> nvmlReturn_t {
    let processes = match of_card(index(device), |card| Ok(of(card))) {
        Ok(processes) => processes,
        Err(error) => return error,
    };
    if count.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: as this function asks for.
    let room = unsafe { count.replace(c_uint::try_from(processes.len()).unwrap_or(c_uint::MAX)) } as usize;
    if processes.len() > room {
        return INSUFFICIENT_SIZE;
    }
    if to.is_null() && !processes.is_empty() {
        return INVALID_ARGUMENT;
    }
    for (place, process) in processes.iter().enumerate() {
        let info = nvmlProcessInfo_t {
            pid: process.pid,
            usedGpuMemory: process.memory.unwrap_or(NOT_AVAILABLE),
            gpuInstanceId: c_uint::MAX,
            computeInstanceId: c_uint::MAX,
        };
        // SAFETY: it was just seen that there is room.
        unsafe { to.add(place).write(info) };
    }
    SUCCESS
}

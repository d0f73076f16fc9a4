//! The library itself, the driver, and how a card is found.
#![expect(unsafe_code, reason = "functions that C code calls by their names")]

use std::ffi::{CStr, c_char, c_int, c_uint};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_NOT_FOUND as NOT_FOUND, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};

use super::handle::{device, put, put_text};
use crate::play::of_box;

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    of_box(|_| Ok(())).err().unwrap_or(SUCCESS)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> nvmlReturn_t {
    nvmlInit_v2()
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(to: *mut c_char, room: c_uint) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { put_text(to, room, of_box(|known| Ok(known.driver.clone()))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetNVMLVersion(to: *mut c_char, room: c_uint) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { put_text(to, room, of_box(|known| Ok(format!("12.{}", known.driver)))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(to: *mut c_int) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, of_box(|_| Ok(12_020))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(to: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, of_box(|known| Ok(c_uint::try_from(known.cards.len()).unwrap_or(c_uint::MAX)))) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, to: *mut nvmlDevice_t) -> nvmlReturn_t {
    let found = of_box(|known| {
        let index = index as usize;
        if index < known.cards.len() { Ok(device(index)) } else { Err(INVALID_ARGUMENT) }
    });
    // SAFETY: as NVML asks of its callers.
    unsafe { put(to, found) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, to: *mut nvmlDevice_t) -> nvmlReturn_t {
    if uuid.is_null() {
        return INVALID_ARGUMENT;
    }
    // SAFETY: as NVML asks of its callers: a text with a NUL.
    let wanted = unsafe { CStr::from_ptr(uuid) };
    let found = of_box(|known| {
        let place = known.cards.iter().position(|card| card.uuid.as_bytes() == wanted.to_bytes());
        place.map(device).ok_or(NOT_FOUND)
    });
    // SAFETY: as above.
    unsafe { put(to, found) }
}

//! What goes over the border: handles, which are numbers dressed as pointers, and places to write to.
#![expect(unsafe_code, reason = "answers are written where a caller in C wants them")]

use std::ffi::c_char;

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE as INSUFFICIENT_SIZE,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
    nvmlReturn_t,
};

use crate::play::Answer;

/// A card's handle: its index and one, as no handle is null.
pub(super) fn device(index: usize) -> nvmlDevice_t {
    (index + 1) as nvmlDevice_t
}

/// The index behind a handle.
pub(super) fn index(device: nvmlDevice_t) -> usize {
    // One that was never given out is of no card.
    (device as usize).wrapping_sub(1)
}

/// Writes an answer.
///
/// # Safety
/// `to` is null, or may be written.
pub(super) unsafe fn put<T>(to: *mut T, answer: Answer<T>) -> nvmlReturn_t {
    match answer {
        Err(error) => error,
        Ok(_) if to.is_null() => INVALID_ARGUMENT,
        Ok(value) => {
            // SAFETY: as this function asks for.
            unsafe { to.write(value) };
            SUCCESS
        }
    }
}

/// Writes a text with its NUL.
///
/// # Safety
/// `to` is null, or so many bytes of it may be written.
pub(super) unsafe fn put_text(to: *mut c_char, room: u32, answer: Answer<String>) -> nvmlReturn_t {
    let text = match answer {
        Err(error) => return error,
        Ok(text) => text,
    };
    if to.is_null() {
        return INVALID_ARGUMENT;
    }
    if text.len() + 1 > room as usize {
        return INSUFFICIENT_SIZE;
    }
    // SAFETY: it was just seen that there is room for both.
    unsafe {
        to.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        to.add(text.len()).write(0);
    }
    SUCCESS
}

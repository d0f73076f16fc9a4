//! From a status and a message to a `Result`, and from Rust's values to C's.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use super::raw;
use crate::{Error, torch_text};

/// Makes one call into `csrc/`; `function` gets the pointer for its message.
pub(super) fn call(operation: &str, function: impl FnOnce(raw::Message) -> i32) -> Result<(), Error> {
    let mut message = ptr::null_mut();
    let status = function(&mut message);
    if status == 0 {
        return Ok(());
    }
    let text = format!("{operation}: {}", take(message));
    // `tandem::Kind` of csrc/status.hpp.
    Err(match status {
        1 => Error::PeerLost(text),
        2 => Error::Timeout(text),
        3 => Error::Invalid(text),
        5 => Error::HostMemory(text),
        6 => Error::DeviceMemory(text),
        7 => Error::Unequal(text),
        _ => torch_text::error(&text),
    })
}

/// A string that `csrc/` made, which is freed here: once for each.
pub(super) fn take(message: *mut c_char) -> String {
    if message.is_null() {
        return "no memory was left to say why".into();
    }
    // SAFETY: a message that is not null was made by strdup in csrc/status.hpp and belongs to us; it is freed once,
    // here, after it was copied.
    unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        raw::tandem_free(message);
        text
    }
}

pub(super) fn c_string(name: &str, value: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| Error::Invalid(format!("the {name} {value:?} contains a zero byte")))
}

/// Refuses zero, which c10d takes as no timeout.
pub(super) fn milliseconds(timeout: Duration) -> Result<i64, Error> {
    match i64::try_from(timeout.as_millis()) {
        Ok(0) => Err(Error::Invalid(format!("a timeout of {timeout:?} is too short: give at least a millisecond"))),
        // 24 days are as good as for ever, and c10d's own arithmetic must not overflow.
        Ok(millis) => Ok(millis.min(i64::from(i32::MAX))),
        Err(_) => Ok(i64::from(i32::MAX)),
    }
}

pub(super) fn c_int(name: &str, value: u32) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| Error::Invalid(format!("the {name} {value} is out of range")))
}

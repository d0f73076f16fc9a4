use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::raw;
use super::status::{c_string, call, milliseconds};
use crate::Error;

/// Owns a `tandem::RendezvousStore`.
pub(crate) struct StoreHandle(NonNull<raw::RendezvousStore>);

// SAFETY: c10d::TCPStore may be used from any thread (it locks) and has no ties to the one that made it.
unsafe impl Send for StoreHandle {}

impl StoreHandle {
    /// `listener` is a bound socket on `port`, owned; the store takes it over.
    pub(crate) fn listen(host: &str, listener: RawFd, port: u16, timeout: Duration) -> Result<Self, Error> {
        let address = c_string("host", host)?;
        let timeout = milliseconds(timeout)?;
        let mut store = ptr::null_mut();
        call(&format!("serving the rendezvous on {host}:{port}"), |message| {
            // SAFETY: the string lives through the call; `store` and `message` are places to write to.
            unsafe { raw::tandem_store_listen(address.as_ptr(), listener, port, timeout, &mut store, message) }
        })?;
        Ok(Self::owning(store))
    }

    pub(crate) fn connect(host: &str, port: u16, timeout: Duration) -> Result<Self, Error> {
        let address = c_string("host", host)?;
        let timeout = milliseconds(timeout)?;
        let mut store = ptr::null_mut();
        call(&format!("joining the rendezvous at {host}:{port}"), |message| {
            // SAFETY: as in `listen`.
            unsafe { raw::tandem_store_connect(address.as_ptr(), port, timeout, &mut store, message) }
        })?;
        Ok(Self::owning(store))
    }

    fn owning(store: raw::StorePtr) -> Self {
        Self(NonNull::new(store).expect("a call that succeeds returns a store"))
    }

    pub(super) fn as_ptr(&self) -> *const raw::RendezvousStore {
        self.0.as_ptr()
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        // SAFETY: owned by self and freed once; groups hold references of their own to the c10d object inside.
        unsafe { raw::tandem_store_free(self.0.as_ptr()) }
    }
}

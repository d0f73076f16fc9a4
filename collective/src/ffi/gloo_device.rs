use std::ptr::{self, NonNull};

use super::raw;
use super::status::{c_string, call};
use crate::Error;

/// Owns a `tandem::GlooDevice`, which listens.
pub(crate) struct GlooDevice(NonNull<raw::GlooDevice>);

impl GlooDevice {
    /// On a free port.
    pub(crate) fn listen(host: &str) -> Result<Self, Error> {
        let address = c_string("host", host)?;
        let mut device = ptr::null_mut();
        // SAFETY: the string lives through the call; `device` and `message` are places to write to.
        call(&format!("listening on {host}"), |message| unsafe {
            raw::tandem_gloo_device(address.as_ptr(), &mut device, message)
        })?;
        Ok(Self(NonNull::new(device).expect("a call that succeeds returns a device")))
    }

    /// Listens on this port instead; false if it is taken. Not of use once a group was formed with it.
    pub(crate) fn move_to(&mut self, port: u16) -> Result<bool, Error> {
        let mut moved = false;
        // SAFETY: the device is alive, and C++ checks what it relies on; `moved` and `message` are places to write to.
        call(&format!("listening on port {port}"), |message| unsafe {
            raw::tandem_gloo_device_move_to(self.0.as_ptr(), port, &mut moved, message)
        })?;
        Ok(moved)
    }

    pub(super) fn as_ptr(&self) -> *const raw::GlooDevice {
        self.0.as_ptr()
    }
}

impl Drop for GlooDevice {
    fn drop(&mut self) {
        // SAFETY: owned by self and freed once; groups hold references of their own to the device of Gloo inside.
        unsafe { raw::tandem_gloo_device_free(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    /// Of this machine on its network; connecting a UDP socket sends nothing.
    fn own_address() -> Option<String> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        // TEST-NET-1.
        socket.connect("192.0.2.1:9").ok()?;
        Some(socket.local_addr().ok()?.ip().to_string())
    }

    #[test]
    fn a_device_moves_to_any_free_port_on_any_address_of_this_machine() {
        let addresses = ["127.0.0.1", "::1", "localhost"].map(str::to_owned).into_iter().chain(own_address());
        for host in addresses.filter(|host| TcpListener::bind((host.as_str(), 0)).is_ok()) {
            let bind = |port| TcpListener::bind((host.as_str(), port));
            let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
            let (taken, free) = (bind(0).unwrap(), port(&bind(0).unwrap()));
            let mut device = GlooDevice::listen(&host).unwrap();
            assert!(!device.move_to(port(&taken)).unwrap(), "{host}");

            assert!(device.move_to(free).unwrap(), "{host}");
            assert!(bind(free).is_err(), "{host}");
            assert!(device.move_to(port(&taken)).is_ok_and(|moved| !moved) && bind(free).is_err(), "{host}: it stays");
            drop(device);
            bind(free).unwrap();
        }
    }
}

//! Xid errors of a card, as the driver tells them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nvml_wrapper::{
    Nvml,
    bitmasks::event::EventTypes,
    enums::event::XidError,
    error::{NvmlError, NvmlErrorWithSource},
};

use crate::nvml::Card;

/// How long one call waits.
const WAIT_MS: u32 = 1_000;
/// How long it takes to ask again whom nothing was told: of a card that cannot tell, or is gone.
const AGAIN: Duration = Duration::from_secs(30);
/// The most that are remembered until somebody takes them.
const KEPT: usize = 64;

/// Errors that nobody has taken yet, the oldest first.
#[derive(Clone, Default)]
pub(super) struct Xids(Arc<Mutex<Vec<u64>>>);

impl Xids {
    /// Listens in a thread of its own, until the worker's process ends.
    pub(super) fn listen(card: &Card) -> Self {
        let (xids, card) = (Self::default(), card.clone());
        let heard = xids.clone();
        let listen = move || loop {
            if let Err(error) = heard.until_it_fails(&card.nvml, card.index) {
                tracing::debug!(%error, "the driver tells no Xid errors of this card");
            }
            thread::sleep(AGAIN);
        };
        if let Err(error) = thread::Builder::new().name("xid".to_owned()).spawn(listen) {
            tracing::warn!(%error, "Xid errors of the card are not noticed");
        }
        xids
    }

    fn until_it_fails(&self, nvml: &Nvml, index: u32) -> Result<(), NvmlErrorWithSource> {
        let device = nvml.device_by_index(index)?;
        let events = device.register_events(EventTypes::CRITICAL_XID_ERROR, nvml.create_event_set()?)?;
        loop {
            match events.wait(WAIT_MS) {
                Ok(event) => {
                    if let Some(XidError::Value(xid)) = event.event_data {
                        self.push(xid);
                    }
                }
                Err(NvmlError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn push(&self, xid: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(xid);
    }

    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

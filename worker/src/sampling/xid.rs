//! Xid errors of a card, as the driver tells them.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
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

/// What the driver has told.
#[derive(Clone, Default)]
pub(super) struct Xids(Arc<Shared>);

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    asked: Condvar,
}

#[derive(Default)]
struct Known {
    /// Errors that nobody has taken yet, the oldest first.
    errors: Vec<u64>,
    /// The driver has told all that it had to tell at first, or tells nothing.
    was_asked: bool,
}

impl Xids {
    /// Listens in a thread of its own, until the worker's process ends.
    pub(super) fn listen(card: &Card) -> Self {
        let (xids, card) = (Self::default(), card.clone());
        let heard = xids.clone();
        let listen = move || loop {
            if let Err(error) = heard.until_it_fails(&card.nvml, card.index) {
                tracing::debug!(%error, "the driver tells no Xid errors of this card");
            }
            heard.set_asked();
            thread::sleep(AGAIN);
        };
        if let Err(error) = thread::Builder::new().name("xid".to_owned()).spawn(listen) {
            tracing::warn!(%error, "Xid errors of the card are not noticed");
            xids.set_asked();
        }
        xids
    }

    fn until_it_fails(&self, nvml: &Nvml, index: u32) -> Result<(), NvmlErrorWithSource> {
        let device = nvml.device_by_index(index)?;
        let events = device.register_events(EventTypes::CRITICAL_XID_ERROR, nvml.create_event_set()?)?;
        // What waits for whoever asks first is told at once.
        let mut wait = 0;
        loop {
            match events.wait(wait) {
                Ok(event) => {
                    if let Some(XidError::Value(xid)) = event.event_data {
                        self.push(xid);
                    }
                }
                Err(NvmlError::Timeout) => {
                    wait = WAIT_MS;
                    self.set_asked();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn push(&self, xid: u64) {
        let kept = &mut self.lock().errors;
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(xid);
    }

    pub(super) fn take(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().errors)
    }

    /// Waits until the driver has told what it had to tell at first, `limit` at most: a card that has failed is not to be given
    /// out before that is known. Where nobody listens there is nothing to wait for.
    pub(super) fn told_at_first(&self, limit: Duration) {
        let known = self.lock();
        let asked = self.0.asked.wait_timeout_while(known, limit, |known| !known.was_asked);
        let (mut known, _) = asked.unwrap_or_else(PoisonError::into_inner);
        // A driver that hangs holds up no other look.
        known.was_asked = true;
    }

    fn set_asked(&self) {
        self.lock().was_asked = true;
        self.0.asked.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

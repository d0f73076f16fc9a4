//! How many bytes of reports may wait to be stored, of one stream and of all: a flood must not fill the memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of one stream. Hours of an ordinary rank's reports; several of the largest.
const STREAM_BYTES: usize = 32 << 20;
const ALL_BYTES: usize = 256 << 20;

/// Room for all streams.
#[derive(Clone, Debug)]
pub(crate) struct Backlog(Arc<Semaphore>);

/// Room for one stream.
#[derive(Debug)]
pub(super) struct StreamBacklog {
    stream: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// The room that one message takes up, until it is dropped.
pub(super) type Room = [OwnedSemaphorePermit; 2];

impl Backlog {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES)))
    }

    /// Bytes that are taken up.
    pub(crate) fn taken(&self) -> usize {
        ALL_BYTES.saturating_sub(self.0.available_permits())
    }

    pub(super) fn of_stream(&self) -> StreamBacklog {
        StreamBacklog { stream: Arc::new(Semaphore::new(STREAM_BYTES)), all: self.0.clone() }
    }
}

impl StreamBacklog {
    /// Room for a message of so many bytes; `None` if there is none now.
    pub(super) fn take(&self, bytes: usize) -> Option<Room> {
        // What a message costs in memory beside its bytes.
        let bytes = u32::try_from(bytes.saturating_mul(2).saturating_add(256)).ok()?;
        let stream = self.stream.clone().try_acquire_many_owned(bytes).ok()?;
        let all = self.all.clone().try_acquire_many_owned(bytes).ok()?;
        Some([stream, all])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_all_of_them_are_bounded_and_room_comes_back() {
        let all = Backlog::new();
        let stream = all.of_stream();
        let small: Vec<Room> = (0..10_000).map(|_| stream.take(500).unwrap()).collect();
        assert!(stream.take(STREAM_BYTES / 2).is_none(), "the rest is too small");
        drop(small);
        let large = STREAM_BYTES / 2 - 128;
        let held = stream.take(large).unwrap();
        assert!(stream.take(500).is_none());
        drop(held);

        let streams: Vec<_> = (0..20).map(|_| all.of_stream()).collect();
        let held: Vec<Room> = streams.iter().filter_map(|stream| stream.take(large)).collect();
        assert_eq!(held.len(), ALL_BYTES / STREAM_BYTES);
        drop(held);
        assert!(streams[19].take(large).is_some());
    }
}

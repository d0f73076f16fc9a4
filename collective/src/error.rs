//! How a call of libtorch, or between ranks, can fail. `torch_text` makes these from libtorch's own words.

/// What happened, as far as it is known. Whose fault that is, the caller decides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A peer's process or host is gone. The group cannot be used any more.
    #[error("lost a peer: {0}")]
    PeerLost(String),
    /// A peer did not come, or did not answer, within the timeout. The group cannot be used any more.
    #[error("a peer did not answer in time: {0}")]
    Timeout(String),
    /// The arguments are wrong: shapes, layouts. Nothing was exchanged; the group still works.
    #[error("{0}")]
    Invalid(String),
    /// Ranks made unequal calls. Nothing was exchanged; the group still works.
    #[error("{0}")]
    Unequal(String),
    /// The memory of this host did not suffice.
    #[error("{0}")]
    HostMemory(String),
    /// The memory of the device did not suffice.
    #[error("{0}")]
    DeviceMemory(String),
    /// The device or its driver failed: an ECC error, a failed launch, a device that fell off the bus.
    #[error("{0}")]
    Device(String),
    /// This machine lacks something: a driver, a library, an address to listen on.
    #[error("{0}")]
    Unavailable(String),
    /// libtorch refused or failed, and neither its exception nor its text says why.
    #[error("libtorch: {0}")]
    Torch(String),
}

impl Error {
    /// Whether the group that the call was made on is of no use any more.
    pub fn breaks_group(&self) -> bool {
        matches!(self, Self::PeerLost(_) | Self::Timeout(_) | Self::Unavailable(_) | Self::Device(_))
    }
}

//! How a call between ranks can fail.

use tch::TchError;

/// Callers mainly ask whether the machine is at fault or the job ([`Error::is_machine_fault`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A peer's process or host is gone. The group cannot be used any more.
    #[error("lost a peer: {0}")]
    PeerLost(String),
    /// A peer did not come, or did not answer, within the timeout. The group cannot be used any more.
    #[error("a peer did not answer in time: {0}")]
    Timeout(String),
    /// The arguments are wrong, or ranks made unequal calls. Nothing was exchanged; the group still works.
    #[error("{0}")]
    Invalid(String),
    /// libtorch refused or failed.
    #[error("libtorch: {0}")]
    Torch(String),
    /// This machine lacks something: a driver, a library, an address to listen on.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// Whether the same job may succeed on a second try or on another machine.
    pub fn is_machine_fault(&self) -> bool {
        matches!(self, Self::PeerLost(_) | Self::Timeout(_) | Self::Unavailable(_))
    }
}

type Marked = (&'static str, fn(String) -> Error);

/// An error from the backward pass of `shard_sum` comes through autograd as text, in which a marker tells the kind.
/// `marker()` in csrc/status.cpp writes it.
const MARKERS: [Marked; 3] = [
    ("collective peer lost: ", Error::PeerLost),
    ("collective timeout: ", Error::Timeout),
    ("collective invalid: ", Error::Invalid),
];

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        MARKERS
            .iter()
            .find_map(|(marker, kind)| text.split_once(marker).map(|(_, detail)| kind(detail.to_owned())))
            .unwrap_or(Self::Torch(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_came_through_autograd_keeps_its_kind() {
        let lost = TchError::Torch("collective peer lost: Connection closed by peer".into());
        assert_eq!(Error::from(lost), Error::PeerLost("Connection closed by peer".into()));
        let other = Error::from(TchError::Torch("shapes cannot be multiplied".into()));
        assert!(matches!(&other, Error::Torch(text) if text.contains("shapes cannot be multiplied")), "{other}");
        assert!(!other.is_machine_fault());
    }
}

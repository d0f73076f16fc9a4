//! Why a rank could not finish its job, by what should happen next.

use tandem_collective::Error as GroupError;

use crate::data::{Blame, DataError};
use crate::files::FileError;

/// The message is for people: what was tried, with what, why it failed, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The job would fail again on any machine: bad data, a loss that is not finite. Not retried.
    #[error("{0}")]
    Job(String),
    /// Another try, or another machine, may succeed: a full disk, a device that is gone. Retried.
    #[error("{0}")]
    Machine(String),
    /// This worker has not what the job starts from, such as its data set. Another worker may have it.
    #[error("{0}")]
    InputMissing(String),
    /// The connection to another rank broke: that rank or its machine is at fault. Retried.
    #[error("{0}")]
    Peer(String),
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        let message = format!("the ranks' exchange failed: {error}");
        match error {
            GroupError::PeerLost(_) | GroupError::Timeout(_) => Self::Peer(message),
            GroupError::Unavailable(_) => Self::Machine(message),
            GroupError::Invalid(_) | GroupError::Torch(_) => Self::Job(message),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let message = error.to_string();
        match error.blame() {
            Blame::Job => Self::Job(message),
            Blame::Input => Self::InputMissing(message),
            Blame::Machine => Self::Machine(message),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::Machine(error.to_string())
    }
}

impl Failure {
    /// From a panic of tch, which carries libtorch's message.
    pub(crate) fn from_panic(panic: Box<dyn std::any::Any + Send>) -> Self {
        let message = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "unknown cause".into(), |text| text.to_string()),
        };
        if message.contains("out of memory") || message.contains("not enough memory") {
            return Self::Job(format!(
                "the device's memory does not hold this job: {message}; use a smaller batch_size or encoder, or more workers"
            ));
        }
        Self::Job(format!("training failed: {message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_peer_is_told_from_a_machine_at_fault_and_from_a_job_at_fault() {
        let of = |error: GroupError| Failure::from(error);
        assert!(matches!(of(GroupError::PeerLost("closed".into())), Failure::Peer(why) if why.contains("closed")));
        assert!(matches!(of(GroupError::Timeout("60 s".into())), Failure::Peer(_)));
        assert!(matches!(of(GroupError::Unavailable("no address".into())), Failure::Machine(_)));
        assert!(matches!(of(GroupError::Torch("shapes".into())), Failure::Job(_)));
    }

    #[test]
    fn data_that_is_bad_is_told_from_data_that_is_not_here_and_from_a_disk_that_fails() {
        let read = |kind: std::io::ErrorKind| {
            Failure::from(DataError::Read { path: "cats/train/a/1.png".into(), source: kind.into() })
        };
        let Failure::Job(why) = read(std::io::ErrorKind::NotFound) else { panic!("another's fault") };
        assert!(why.contains("cats/train/a/1.png"), "{why}");
        assert!(matches!(read(std::io::ErrorKind::TimedOut), Failure::Machine(_)));
        let absent = DataError::NotHere { path: "cats".into(), how: "copy it there".into() };
        assert!(matches!(Failure::from(absent), Failure::InputMissing(why) if why.contains("cats")));
    }
}

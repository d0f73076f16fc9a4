//! Why a rank could not finish its job, by what should happen next.
//!
//! The job is at fault only by evidence, by one of a closed list of causes: a loss that is not finite, shapes, a damaged
//! file of data, a spec that cannot be carried out, and more memory than an otherwise empty device has. Whatever is not
//! understood is nobody's fault.

use std::io::ErrorKind;

use tandem_collective::{Error as GroupError, device_memory, tried_bytes};

use crate::data::{Blame, DataError};
use crate::files::FileError;
use crate::memory::{self, Holder, HostMemory};

/// The message is for people: what was tried, with what, why it failed, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The job would fail again on any machine. Not retried.
    #[error("{0}")]
    Job(String),
    /// This machine is at fault: a full disk, a device that is gone. Retried.
    #[error("{0}")]
    Machine(String),
    /// What the job starts from (its data set, an input) or the store cannot be used from here; it may be elsewhere. The
    /// job is not at fault. Retried.
    #[error("{0}")]
    InputMissing(String),
    /// The connection to another rank broke: that rank or its machine is at fault. Retried.
    #[error("{0}")]
    Peer(String),
    /// Nothing says by whose fault: a panic, an error of libtorch that nobody has met yet. Retried.
    #[error("{0}")]
    Unknown(String),
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        let message = error.to_string();
        match error {
            GroupError::PeerLost(_) | GroupError::Timeout(_) => {
                Self::Peer(format!("the ranks' exchange failed: {message}"))
            }
            GroupError::Unequal(_) => Self::Unknown(format!("{message}; are all workers of one version?")),
            GroupError::Invalid(_) => Self::Job(message),
            GroupError::Unavailable(_) => Self::Machine(message),
            GroupError::Device(_) => Self::Machine(format!(
                "the device or its driver failed: {message}; see `nvidia-smi` and `dmesg` (Xid) on this host"
            )),
            GroupError::DeviceMemory(_) => {
                out_of_memory("device", &message, memory::on_device(device_memory(&message)))
            }
            GroupError::HostMemory(_) => {
                out_of_memory("host", &message, memory::on_host(HostMemory::read(), tried_bytes(&message)))
            }
            GroupError::Torch(_) => Self::Unknown(format!(
                "{message} (by whose fault is not known; if other workers say the same, please report it with this log)"
            )),
        }
    }
}

/// Memory of the `place` did not suffice.
fn out_of_memory(place: &str, message: &str, holder: Holder) -> Failure {
    match holder {
        Holder::Job => Failure::Job(format!(
            "this job needs more memory than the {place} has: {message}; use a smaller batch_size or encoder, or more \
             workers"
        )),
        Holder::Others(who) => Failure::Machine(format!("the {place} has too little memory left: {message}; {who}")),
        Holder::Unknown => Failure::Unknown(format!(
            "the {place} had too little memory: {message}; whether the job needs too much or something else held it is \
             not known: use a smaller batch_size if it happens again"
        )),
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let message = error.to_string();
        if let DataError::Torch(error) = error {
            return GroupError::from(error).into();
        }
        match error.blame() {
            Blame::Job => Self::Job(message),
            Blame::Input => Self::InputMissing(message),
            Blame::Machine => Self::Machine(message),
        }
    }
}

impl From<FileError> for Failure {
    /// All files but those of data are in the store.
    fn from(error: FileError) -> Self {
        let message = error.to_string();
        match error.source.kind() {
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotADirectory
            | ErrorKind::StaleNetworkFileHandle => Self::InputMissing(format!(
                "{message}; does this worker see the coordinator's store, and may it write there?"
            )),
            _ => Self::Machine(message),
        }
    }
}

impl Failure {
    /// From a panic: of tch, which carries libtorch's message, or of this program.
    pub(crate) fn from_panic(panic: Box<dyn std::any::Any + Send>) -> Self {
        let message = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().map_or_else(|| "unknown cause".into(), |text| text.to_string()),
        };
        match GroupError::from_panic(&message) {
            Some(error) => error.into(),
            // The words of the standard library, whose scoped threads panic where there is no room for another.
            None if message.contains("failed to spawn thread") => Self::Machine(format!(
                "this host gives no more threads ({message}): look at its free memory, `ulimit -u` and `ulimit -v`"
            )),
            None => Self::Unknown(format!("internal error: {message}; please report it with this log")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_blamed_on_whom_the_evidence_names() {
        let of = |error: GroupError| Failure::from(error);
        assert!(matches!(of(GroupError::PeerLost("closed".into())), Failure::Peer(why) if why.contains("closed")));
        assert!(matches!(of(GroupError::Timeout("60 s".into())), Failure::Peer(_)));
        assert!(matches!(of(GroupError::Unavailable("no address".into())), Failure::Machine(_)));
        assert!(matches!(of(GroupError::Device("uncorrectable ECC error".into())), Failure::Machine(_)));
        assert!(matches!(of(GroupError::Invalid("shapes".into())), Failure::Job(_)));
        assert!(matches!(of(GroupError::Unequal("rank 1 calls barrier".into())), Failure::Unknown(_)));
        assert!(matches!(of(GroupError::Torch("could not create a primitive".into())), Failure::Unknown(_)));
    }

    #[test]
    fn too_little_memory_is_the_jobs_fault_on_an_empty_device_only() {
        let said = |others: &str| {
            let own = if others.is_empty() { "7.50" } else { "3.00" };
            GroupError::DeviceMemory(format!(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8.00 GiB of which 128.00 \
                 MiB is free. {others}Including non-PyTorch memory, this process has {own} GiB memory in use."
            ))
        };
        assert!(matches!(said("").into(), Failure::Job(why) if why.contains("batch_size")));
        let other = said("Process 17 has 4.87 GiB memory in use. ").into();
        assert!(matches!(&other, Failure::Machine(why) if why.contains("4.9 GiB of its 8.0 GiB")), "{other}");
        let untold = GroupError::DeviceMemory("CUDA error: out of memory".into()).into();
        assert!(matches!(untold, Failure::Unknown(_)), "{untold}");
    }

    #[test]
    fn a_panic_is_nobodys_fault_unless_libtorch_says_whose() {
        let of = |message: &str| Failure::from_panic(Box::new(message.to_owned()));
        assert!(matches!(of("index out of bounds"), Failure::Unknown(why) if why.contains("index out of bounds")));
        let no_thread =
            "failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"Resource temporarily unavailable\" }";
        assert!(matches!(of(no_thread), Failure::Machine(why) if why.contains("ulimit -u")));
        let torch =
            |text: &str| of(&format!("called `Result::unwrap()` on an `Err` value: Torch(\"{text}\\nframe #0\")"));
        assert!(matches!(torch("CUDA error: uncorrectable ECC error encountered"), Failure::Machine(_)));
        assert!(matches!(torch("could not create a primitive"), Failure::Unknown(_)));
        assert!(matches!(torch("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"), Failure::Job(_)));
    }

    #[test]
    fn a_store_or_data_that_are_not_there_are_nobodys_fault() {
        let file = |kind: ErrorKind| FileError { action: "read", path: "/store/a".into(), source: kind.into() }.into();
        assert!(matches!(file(ErrorKind::NotFound), Failure::InputMissing(_)));
        assert!(matches!(file(ErrorKind::ReadOnlyFilesystem), Failure::InputMissing(_)));
        assert!(matches!(file(ErrorKind::StorageFull), Failure::Machine(_)));
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

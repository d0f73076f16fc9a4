//! Why a backup was not taken, or a house not restored: in words, and as an exit code.

use std::{io, path::Path};

use tandem_archive::Error as ArchiveError;

use crate::{error::Error, private_file::PrivateFileError, receipts::KeyFileError, store::schema::OpenError};

/// As in sysexits.h.
const UNREACHABLE: u8 = 69;
const CANNOT_CREATE: u8 = 73;
const DAMAGED: u8 = 74;
const TEMPORARY: u8 = 75;
const CONFIG: u8 = 78;

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    pub(crate) message: String,
    pub(crate) exit: u8,
}

impl Failed {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: CONFIG }
    }

    pub(crate) fn temporary(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: TEMPORARY }
    }

    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: DAMAGED }
    }

    /// What could not be written, at `path`.
    pub(crate) fn write(path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "; make room there, or name another place: nothing of it is left"
            }
            _ => "; nothing of it is left",
        };
        Self { message: format!("cannot write {}: {error}{hint}", path.display()), exit: CANNOT_CREATE }
    }

    /// Of an archive at `path`.
    pub(crate) fn archive(path: &Path, error: ArchiveError) -> Self {
        let exit = match error {
            ArchiveError::Read(_) => 66,
            ArchiveError::Format(_) => CONFIG,
            ArchiveError::NotWhole(_) | ArchiveError::Damaged(_) => DAMAGED,
            ArchiveError::Stopped(_) => 70,
        };
        match error {
            ArchiveError::Stopped(message) => Self { message, exit },
            error => Self { message: format!("cannot restore {}: {error}. Nothing was changed", path.display()), exit },
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let exit = if error.is_absence() { UNREACHABLE } else { 70 };
        Self { message: error.to_string(), exit }
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        Self { message: error.to_string(), exit: if error.is_unavailable() { UNREACHABLE } else { CONFIG } }
    }
}

impl From<PrivateFileError> for Failed {
    fn from(error: PrivateFileError) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<KeyFileError> for Failed {
    fn from(error: KeyFileError) -> Self {
        Self { message: error.to_string(), exit: error.exit_code() }
    }
}

/// A task that was to write or read broke off.
impl From<tokio::task::JoinError> for Failed {
    fn from(error: tokio::task::JoinError) -> Self {
        Self { message: format!("a part of this program broke off: {error}"), exit: 70 }
    }
}

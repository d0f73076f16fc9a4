//! Why an archive is not used.

use std::io;

use crate::manifest::FORMAT;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the archive: {0}")]
    Read(#[source] io::Error),
    #[error("this is no archive of `tandem backup`, or the end of one is missing ({0})")]
    NotWhole(&'static str),
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    #[error(
        "the archive has the format {0}, and this version reads {FORMAT}: use the version of tandem that wrote it, or a newer one"
    )]
    Format(u32),
    /// Whoever visits the members has had enough.
    #[error("{0}")]
    Stopped(String),
}

impl Error {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// The archive itself is at fault, as opposed to the disk or its reader.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::NotWhole(_) | Self::Damaged(_))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What tar finds wrong with a header.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Read(error),
        }
    }
}

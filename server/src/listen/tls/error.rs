//! Why TLS cannot be spoken, and what to do.

use std::{io, path::PathBuf};

use chrono::{DateTime, Utc};

use crate::private_file::PrivateFileError;

/// Never says what a key holds.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {file}: {source}", file = .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("cannot write {file}: {source}", file = .file.display())]
    Write { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Private(#[from] PrivateFileError),
    #[error("{file} holds no {expected} in PEM ({problem})", file = .file.display())]
    Parse { file: PathBuf, expected: &'static str, problem: String },
    #[error("the key {key} does not fit the certificate {certificate}: {problem}", key = .key.display(), certificate = .certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf, problem: String },
    #[error(
        "the certificate {file} ended at {at}: clients would refuse it; put a new one in its place, and its key", file = .file.display()
    )]
    Expired { file: PathBuf, at: DateTime<Utc> },
    #[error(
        "the folder {folder} is not there and cannot be made: {source}; it is for the certificates of this coordinator alone",
        folder = .folder.display()
    )]
    Folder { folder: PathBuf, source: io::Error },
    #[error(
        "others can write in {folder} (its mode is {mode:04o}), and so put a key of theirs there: `chmod 700 {folder}`",
        folder = .folder.display()
    )]
    OpenFolder { folder: PathBuf, mode: u32 },
    #[error("another tandem-server is at the certificates in {folder} and does not get done; try again when it has", folder = .folder.display())]
    Busy { folder: PathBuf },
    #[error(
        "{missing} is not in {folder}, where other files of the house are: a new one would have another fingerprint, and \
         nobody who has joined would take it. Put it back from a copy (ca.pem is also the second certificate in \
         server.pem), or name an empty folder by --tls-dir and let everybody join again",
        folder = .folder.display()
    )]
    Incomplete { folder: PathBuf, missing: &'static str },
    #[error(
        "the certificate server.pem in {folder} cannot be used ({problem}), and without ca.key no new one can be made \
         here: make one where ca.key is, by `tandem-server issue --tls-dir FOLDER --out NEW --name HOST`, and copy NEW here",
        folder = .folder.display()
    )]
    NoAuthority { folder: PathBuf, problem: String },
    #[error(
        "there is no ca.key in {folder}, which signs certificates: name the folder where it is, or start a coordinator with \
         --tls-dir {folder} first, which makes it",
        folder = .folder.display()
    )]
    NoKey { folder: PathBuf },
    #[error("{out} holds another house's ca.pem; name an empty folder by --out", out = .out.display())]
    OtherHouse { out: PathBuf },
    #[error("{out} is the house's own folder; name another one by --out", out = .out.display())]
    OwnFolder { out: PathBuf },
    #[error("`{name}` is neither a name nor an address of a host")]
    Name { name: String },
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot set TLS up: {0}")]
    Setup(#[from] rustls::Error),
}

impl TlsError {
    /// The exit code, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Write { .. } | Self::Folder { .. } => 73,
            Self::Busy { .. } => 75,
            Self::Make(_) | Self::Setup(_) => 70,
            _ => 78,
        }
    }
}

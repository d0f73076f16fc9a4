//! The key that signs receipts: made once, the same for all coordinators of a house, and none of TLS's.
//!
//! It is a file, and neither in the database nor in the store's folder: whoever can write rows or files there must not be
//! able to sign them. The database knows its public half alone.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use tandem_domain::receipt::{PublicKey, pae};
use tandem_durable::{Mode, NewFile};

use crate::{
    error::{Error, Result},
    private_file::{self, PrivateFileError, RECEIPT_KEY},
    store::{Store, receipts, retry},
};

/// Why the key is not used. Never says what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot use the key that signs receipts: {0}")]
    Private(#[from] PrivateFileError),
    #[error(
        "{file} holds no key of ECDSA on P-256 in PEM, which signs receipts; put it back from a copy, or name another file by \
         --receipt-key",
        file = .file.display()
    )]
    Kind { file: PathBuf },
    #[error("cannot write the key that signs receipts to {file}: {source}; name another file by --receipt-key", file = .file.display())]
    Write { file: PathBuf, source: io::Error },
    #[error("cannot make the key that signs receipts: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot read the house's keys out of the database: {0}")]
    Database(String),
}

impl KeyFileError {
    /// The exit code, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Private(_) | Self::Kind { .. } => 78,
            Self::Write { .. } => 73,
            Self::Make(_) => 70,
            Self::Database(_) => 69,
        }
    }
}

/// Where the key is if nobody says: with the certificates, or in the account's folder of states.
pub(crate) fn default_file(tls_dir: Option<&Path>) -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    match tls_dir {
        Some(tls_dir) => Some(tls_dir.join(RECEIPT_KEY)),
        None => Some(state()?.join("tandem").join(RECEIPT_KEY)),
    }
}

pub(crate) struct HouseKey {
    pair: KeyPair,
    pub(crate) public: PublicKey,
}

impl HouseKey {
    /// The house's key in `file`; made at the first start of a house, or where it is to have `another`. `None` if this
    /// coordinator has not the house's key: then others sign.
    ///
    /// # Errors
    /// Where the file cannot be read or made, or others can read it.
    pub(crate) async fn open(
        store: &Store,
        file: &Path,
        coordinator: &str,
        another: bool,
    ) -> std::result::Result<Option<Self>, KeyFileError> {
        let database = |error: Error| KeyFileError::Database(error.to_string());
        let keys = async { Ok(receipts::keys(&mut *store.reader().await?).await?) }.await.map_err(database)?;
        if !file.exists() {
            if let Some(known) = keys.first().filter(|_| !another) {
                tracing::warn!(
                    "this coordinator signs no receipts: {} is not there, and coordinator {} made the house's key {}. Copy its \
                     file here; if it is lost for good, start once with --new-receipt-key",
                    file.display(),
                    known.coordinator,
                    &known.id[..12]
                );
                return Ok(None);
            }
            make(file)?;
        }
        let key = Self::read(file)?;
        let put = async || {
            let mut tx = store.begin().await?;
            let known = receipts::put_key(&mut tx, &key.public, coordinator, another).await?;
            tx.commit().await?;
            Ok(known)
        };
        if !retry(put).await.map_err(database)? {
            tracing::warn!(
                "this coordinator signs no receipts: the key in {} is not the house's. Copy the file of the coordinator that made \
                 the house's here; if that is lost for good, start once with --new-receipt-key",
                file.display()
            );
            return Ok(None);
        }
        Ok(Some(key))
    }

    fn read(file: &Path) -> std::result::Result<Self, KeyFileError> {
        // Without the words of the parser, which could hold a piece of the key.
        let kind = || KeyFileError::Kind { file: file.to_owned() };
        let pair = KeyPair::from_pem(&private_file::read(file)?).map_err(|_| kind())?;
        let public = PublicKey::from_spki(&pair.subject_public_key_info()).map_err(|_| kind())?;
        Ok(Self { pair, public })
    }

    /// Signs a payload of in-toto.
    pub(crate) fn sign(&self, payload: &str) -> Result<Vec<u8>> {
        self.pair.sign(&pae(payload.as_bytes())).map_err(|error| Error::Bug(format!("cannot sign a receipt: {error}")))
    }
}

/// Coordinators that start at one moment in one folder take the file of the first.
fn make(file: &Path) -> std::result::Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Write { file: file.to_owned(), source };
    if let Some(folder) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mut new = NewFile::create(file, Mode::Private).map_err(failed)?;
    io::Write::write_all(&mut new, KeyPair::generate()?.serialize_pem().as_bytes()).map_err(failed)?;
    match new.keep_existing() {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

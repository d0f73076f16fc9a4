//! The folder of a coordinator's certificates: the house's authority, made at the first start, and what it signed.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustls::{pki_types::CertificateDer, sign::CertifiedKey};
use tandem_durable::{Mode, NewFile, replace};

use super::{
    authority::Authority,
    check::{self, RENEWED_BEFORE},
    error::TlsError,
    names::{INTERNAL, Names},
    pair::{self, fingerprint},
};
use crate::private_file::{self, PrivateFileError, RECEIPT_KEY};

const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
/// What of the folder's mode lets others write there.
const OTHERS_WRITE: u32 = 0o022;
/// How long another process may be at the folder: it makes two keys.
const BUSY: Duration = Duration::from_secs(5);

/// The folder, for as long as nobody else changes it.
struct Folder {
    path: PathBuf,
    _locked: File,
}

/// The certificate to serve with, and the fingerprint of the authority, which everybody compares. What is not there or
/// ends soon is made.
///
/// # Errors
/// Says what is missing, or open to others, and what to do.
pub(super) fn open(folder: &Path, names: &Names) -> Result<(CertifiedKey, String), TlsError> {
    let folder = Folder::open(folder)?;
    let certificate = folder.authority_certificate()?;
    let authority = folder.authority(&certificate)?;
    let found = match pair::read(&folder.file(SERVER), &folder.file(SERVER_KEY)) {
        Ok(key) => Ok(key),
        Err(error) if is_for_people(&error) => return Err(error),
        Err(error) => Err(error.to_string()),
    };
    let house = fingerprint(&certificate);
    let Some(authority) = authority else {
        let unusable = |problem| TlsError::NoAuthority { folder: folder.path.clone(), problem };
        let key = found.map_err(unusable)?;
        check::serves(&key, &certificate, &[INTERNAL.to_owned()], Duration::ZERO).map_err(unusable)?;
        if let Err(problem) = check::serves(&key, &certificate, names.all(), RENEWED_BEFORE) {
            tracing::warn!(problem, "a new certificate should be made soon, where the house's ca.key is");
        }
        return Ok((key, house));
    };
    let found = found.and_then(|key| check::serves(&key, &certificate, names.all(), RENEWED_BEFORE).map(|()| key));
    match found {
        Ok(key) => Ok((key, house)),
        Err(why) => {
            tracing::info!(folder = %folder.path.display(), why, names = ?names.all(), "making a certificate");
            folder.issue(&authority, names)?;
            Ok((pair::read(&folder.file(SERVER), &folder.file(SERVER_KEY))?, house))
        }
    }
}

/// The fingerprint of the house that has this folder.
///
/// # Errors
/// Where there is none.
pub(crate) fn fingerprint_in(folder: &Path) -> Result<String, TlsError> {
    Ok(fingerprint(&pair::certificates(&folder.join(AUTHORITY))?[0]))
}

/// Makes the folder of a further coordinator: everything but the authority's key, and the key of receipts if it is there.
///
/// # Errors
/// Where `folder` has no authority with its key, or `out` is another house's.
pub(crate) fn issue(folder: &Path, out: &Path, names: &Names) -> Result<String, TlsError> {
    if out.join(AUTHORITY_KEY).exists() {
        return Err(TlsError::OwnFolder { out: out.to_owned() });
    }
    let house = Folder::open(folder)?;
    let key = house.file(AUTHORITY_KEY);
    if !there(&key)? {
        return Err(TlsError::NoKey { folder: folder.to_owned() });
    }
    let certificate = house.authority_certificate()?;
    let Some(authority) = house.authority(&certificate)? else {
        return Err(TlsError::NoKey { folder: folder.to_owned() });
    };
    let further = Folder::open(out)?;
    let copy = further.file(AUTHORITY);
    if there(&copy)? && pair::certificates(&copy)?.first() != Some(&certificate) {
        return Err(TlsError::OtherHouse { out: out.to_owned() });
    }
    further.write(AUTHORITY, &house.text(AUTHORITY)?, Mode::Shared)?;
    let made = authority.issue(names)?;
    further.write(SERVER_KEY, &made.key, Mode::Private)?;
    further.write(SERVER, &(made.certificate + &house.text(AUTHORITY)?), Mode::Shared)?;
    if there(&house.file(RECEIPT_KEY))? {
        // All coordinators of a house sign receipts with one key.
        further.write(RECEIPT_KEY, &private_file::read(&house.file(RECEIPT_KEY))?, Mode::Private)?;
    }
    Ok(fingerprint(&certificate))
}

impl Folder {
    fn open(path: &Path) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Folder { folder: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let opened = File::open(path).map_err(failed)?;
        let mode = opened.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(TlsError::OpenFolder { folder: path.to_owned(), mode });
        }
        let started = Instant::now();
        while let Err(error) = opened.try_lock() {
            match error {
                TryLockError::Error(source) => return Err(failed(source)),
                TryLockError::WouldBlock if started.elapsed() > BUSY => {
                    return Err(TlsError::Busy { folder: path.to_owned() });
                }
                TryLockError::WouldBlock => sleep(Duration::from_millis(20)),
            }
        }
        Ok(Self { path: path.to_owned(), _locked: opened })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Made where the house is new.
    fn authority_certificate(&self) -> Result<CertificateDer<'static>, TlsError> {
        let [certificate, key] = [AUTHORITY, AUTHORITY_KEY].map(|name| self.file(name));
        if !there(&certificate)? {
            if there(&self.file(SERVER))? || there(&self.file(SERVER_KEY))? {
                return Err(TlsError::Incomplete { folder: self.path.clone(), missing: AUTHORITY });
            }
            // Where a start was cut after the key, the next one goes on with it.
            if !there(&key)? {
                self.write_new(AUTHORITY_KEY, &Authority::new_key()?, Mode::Private)?;
            }
            self.write_new(AUTHORITY, &Authority::certificate(&private_file::read(&key)?)?, Mode::Shared)?;
            tracing::info!(folder = %self.path.display(), "made the house's authority, with ca.key: keep a copy of both");
        }
        Ok(pair::certificates(&certificate)?.swap_remove(0))
    }

    /// `None` where the key was taken away.
    fn authority(&self, certificate: &CertificateDer<'static>) -> Result<Option<Authority>, TlsError> {
        let file = self.file(AUTHORITY_KEY);
        if !there(&file)? {
            return Ok(None);
        }
        let authority = Authority::open(certificate, &private_file::read(&file)?);
        authority.map(Some).map_err(|problem| TlsError::Parse { file, expected: "key of the authority", problem })
    }

    /// The key first: a start that finds it alone makes both anew.
    fn issue(&self, authority: &Authority, names: &Names) -> Result<(), TlsError> {
        let made = authority.issue(names)?;
        self.write(SERVER_KEY, &made.key, Mode::Private)?;
        self.write(SERVER, &(made.certificate + &self.text(AUTHORITY)?), Mode::Shared)
    }

    fn text(&self, name: &str) -> Result<String, TlsError> {
        let file = self.file(name);
        fs::read_to_string(&file).map_err(|source| TlsError::Read { file, source })
    }

    fn write(&self, name: &str, text: &str, mode: Mode) -> Result<(), TlsError> {
        let file = self.file(name);
        replace(&file, text.as_bytes(), mode).map_err(|source| TlsError::Write { file, source })
    }

    /// What is there is not replaced, whoever made it.
    fn write_new(&self, name: &str, text: &str, mode: Mode) -> Result<(), TlsError> {
        let file = self.file(name);
        let write = || {
            let mut new = NewFile::create(&file, mode)?;
            io::Write::write_all(&mut new, text.as_bytes())?;
            new.keep_existing()
        };
        write().map_err(|source| TlsError::Write { file: file.clone(), source })
    }
}

/// What a new certificate would hide, and not mend.
fn is_for_people(error: &TlsError) -> bool {
    match error {
        TlsError::Private(PrivateFileError::Read { source, .. }) | TlsError::Read { source, .. } => {
            source.kind() != io::ErrorKind::NotFound
        }
        TlsError::Private(_) => true,
        _ => false,
    }
}

fn there(file: &Path) -> Result<bool, TlsError> {
    file.try_exists().map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

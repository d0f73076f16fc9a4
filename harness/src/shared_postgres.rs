use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::Result;
use tandem_local_postgres::{LocalPostgres, Options};
use tempfile::TempDir;

/// One Postgres for all tests of a binary; stopped and deleted with the last test that uses it.
#[derive(Debug)]
pub(crate) struct SharedPostgres {
    pub(crate) postgres: LocalPostgres,
    _folder: TempDir,
}

impl SharedPostgres {
    /// The one that runs, or a new one.
    ///
    /// # Errors
    /// When none can be started.
    pub(crate) fn get() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<SharedPostgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(postgres) = shared.upgrade() {
            return Ok(postgres);
        }
        let folder = open_folder("tandem-postgres.")?;
        let postgres = LocalPostgres::start_with(&folder.path().join("postgres"), Options { durable: false })?;
        let started = Arc::new(Self { postgres, _folder: folder });
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// The name of a new, empty database.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn create_database(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.postgres.create_database(&name)?;
        Ok(name)
    }
}

/// A temporary folder that everybody may enter: started by root, Postgres runs as another user.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn open_folder(prefix: &str) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o755)).tempdir()?)
}

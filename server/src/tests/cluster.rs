//! One real Postgres for all tests of a binary. Stands alone: two binaries include it.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use tandem_local_postgres::{LocalPostgres, Options};
use tempfile::TempDir;

/// Stopped and deleted with the last test that uses it.
pub(crate) struct Cluster {
    pub(crate) postgres: LocalPostgres,
    _dir: TempDir,
}

impl Cluster {
    /// A new, empty database.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.postgres.create_database(&name).unwrap();
        name
    }
}

pub(crate) fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    // As root, Postgres runs under another account, which must be able to enter.
    let permissions = std::fs::Permissions::from_mode(0o755);
    let dir = tempfile::Builder::new().prefix("tandem-server-").permissions(permissions).tempdir().unwrap();
    let postgres = LocalPostgres::start_with(&dir.path().join("postgres"), Options { durable: false }).unwrap();
    let cluster = Arc::new(Cluster { postgres, _dir: dir });
    *shared = Arc::downgrade(&cluster);
    cluster
}

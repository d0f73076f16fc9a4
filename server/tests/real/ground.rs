//! What a server stands on: a database of its own on the shared Postgres, and a folder.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::cluster::{Cluster, cluster};

/// Nothing here takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Ground {
    pub(crate) dir: TempDir,
    database: String,
    cluster: Arc<Cluster>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let cluster = cluster();
        Self { dir: tempfile::tempdir().unwrap(), database: cluster.database(), cluster }
    }

    pub(crate) fn url(&self) -> String {
        self.cluster.postgres.url(&self.database)
    }

    /// What psql prints.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.cluster.postgres.psql(&self.database, sql).unwrap()
    }
}

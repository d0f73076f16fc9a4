use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

/// A temporary folder that everybody may enter: started by root, Postgres runs as another user.
pub(crate) fn open_folder() -> anyhow::Result<TempDir> {
    let permissions = Permissions::from_mode(0o755);
    Ok(tempfile::Builder::new().prefix("tandem-test.").permissions(permissions).tempdir()?)
}

//! The Unix socket: made, open to every account of the box, and removed at the end.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

/// The kernel's own limit, without the zero byte at the end.
const LONGEST: usize = 107;
const ANSWER: Duration = Duration::from_secs(2);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "the path of the socket has {length} bytes, and the kernel takes {LONGEST} at most: {path}; name a shorter one by \
         --socket",
        path = .path.display()
    )]
    Long { path: PathBuf, length: usize },
    #[error("cannot make the folder of the socket {path}: {source}", path = .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("{path} is there and no socket; it is left as it is. Name another path by --socket", path = .path.display())]
    NoSocket { path: PathBuf },
    #[error("another process listens on {path}: end that tandem-server, or name another path by --socket", path = .path.display())]
    Live { path: PathBuf },
    #[error("cannot listen on the socket {path}: {source}", path = .path.display())]
    Listen { path: PathBuf, source: io::Error },
}

/// The socket's file; removed when this is dropped, if it is still this one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and number.
    id: (u64, u64),
}

/// Listens on `path`. What a process left that was killed is replaced.
///
/// # Errors
/// Where something else is there, or somebody listens.
pub(super) async fn listen(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    let length = path.as_os_str().len();
    if length > LONGEST {
        return Err(SocketError::Long { path: path.to_owned(), length });
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
        made.map_err(|source| SocketError::Folder { path: path.to_owned(), source })?;
    }
    let failed = |source| SocketError::Listen { path: path.to_owned(), source };
    remove_stale(path).await?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Who connects is asked for by the kernel's word, not by the file's mode.
    fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed)?;
    let meta = fs::symlink_metadata(path).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), id: (meta.dev(), meta.ino()) }))
}

/// A socket that nobody listens on any more.
async fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Listen { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(SocketError::NoSocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match timeout(ANSWER, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        // A process that hangs and takes nobody has the socket still.
        Ok(_) | Err(_) => Err(SocketError::Live { path: path.to_owned() }),
    }
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.id);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket; the next start does");
        }
    }
}

//! A connection to a Unix socket, if whoever serves there may: a path in a shared folder is anybody's to take.

use std::{
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{codegen::Service, transport::Uri};

/// Whether the account of this number may serve at this path; the error says why not.
pub type MayServe = Arc<dyn Fn(&Path, u32) -> Result<(), String> + Send + Sync>;

/// Who serves at the path may not. Nothing was sent.
#[derive(Debug)]
pub struct Stranger(String);

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stranger {}

/// Connects to one path, whatever the URL says.
#[derive(Clone)]
pub(crate) struct SocketConnector {
    path: PathBuf,
    may_serve: MayServe,
}

impl SocketConnector {
    pub(crate) fn new(path: PathBuf, may_serve: MayServe) -> Self {
        Self { path, may_serve }
    }

    async fn connect(self) -> io::Result<TokioIo<UnixStream>> {
        let stream = UnixStream::connect(&self.path).await?;
        // The account of who began to listen; the kernel keeps it.
        let uid = stream.peer_cred()?.uid();
        (self.may_serve)(&self.path, uid).map_err(|why| io::Error::other(Stranger(why)))?;
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for SocketConnector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

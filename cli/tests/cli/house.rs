//! A coordinator behind TLS, with a certificate authority of its own.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sha2::{Digest, Sha256};
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::{Run, coordinator::Coordinator, tandem};

pub(crate) struct House {
    pub(crate) address: String,
    pub(crate) fingerprint: String,
}

impl House {
    pub(crate) async fn serve(coordinator: &Coordinator) -> Self {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["tandem.internal".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        let chain = leaf.pem() + &root.pem();
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key.serialize_pem()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let router = coordinator.router_on(Server::builder().tls_config(tls).unwrap());
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, fingerprint: hex::encode(Sha256::digest(root.der())) }
    }
}

/// A person with settings of its own, on a machine where nothing runs.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = tandem("", args);
        command.env("XDG_CONFIG_HOME", self.dir.path()).env("TANDEM_HOME", self.dir.path().join("home"));
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Run {
        Run(self.command(args).output().await.unwrap())
    }

    /// With this on stdin.
    pub(crate) async fn told(&self, args: &[&str], stdin: &str) -> Run {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that has been refused reads nothing.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes()).await;
        Run(child.wait_with_output().await.unwrap())
    }

    pub(crate) fn context(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("tandem/contexts/{name}.toml"))
    }

    pub(crate) fn file(&self, name: &str, text: &str, mode: u32) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A run whose streams went elsewhere.
pub(crate) fn ended(code: ExitStatus) -> Run {
    assert_eq!(code.signal(), None, "it ends by itself");
    Run(Output { status: code, stdout: Vec::new(), stderr: Vec::new() })
}

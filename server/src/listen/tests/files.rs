//! The socket's file, and certificates that change while they are served.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    time::Duration,
};

use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{LIMIT, MANY, connect, port};
use crate::listen::{incoming::Incoming, socket::listen, tls::Tls};

#[tokio::test]
async fn the_socket_is_open_to_all_and_goes_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/tandem/socket");
    let (listener, file) = listen(&path).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o666, 0o755));
    let words = listen(&path).await.unwrap_err().to_string();
    assert!(words.contains("another process listens on"), "{words}");
    drop((listener, file));
    assert!(!path.exists());

    // A process that was killed leaves its socket.
    drop(UnixListener::bind(&path).unwrap());
    let (listener, file) = listen(&path).await.unwrap();
    // Somebody else's since: not removed.
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop((listener, file));
    assert!(path.exists());
}

#[tokio::test]
async fn what_cannot_be_a_socket_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    assert!(listen(&file).await.unwrap_err().to_string().contains("no socket; it is left as it is"));
    assert_eq!(fs::read(&file).unwrap(), b"kept");
    let long = folder.path().join("x".repeat(108));
    assert!(listen(&long).await.unwrap_err().to_string().contains("107 at most"));
    assert!(listen(&file.join("socket")).await.unwrap_err().to_string().contains("cannot make the folder"));
}

/// Writes a new certificate for tandem.internal, or the key of another one.
fn write(folder: &Path, fits: bool) -> String {
    let mut params = rcgen::CertificateParams::new(vec!["tandem.internal".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "given");
    let [key, other] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let made = params.self_signed(&key).unwrap();
    let key = if fits { key } else { other };
    for (name, text) in [("key", key.serialize_pem()), ("pem", made.pem())] {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }
    made.pem()
}

#[tokio::test]
async fn a_given_certificate_is_taken_anew_when_it_changes_and_a_wrong_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let first = write(folder.path(), true);
    let tls = Tls::given(&file("pem"), &file("key")).unwrap();
    let (listener, address) = port().await;
    let mut incoming = Incoming::with(listener, Some(tls.acceptor()), None, MANY, LIMIT);
    let _accepting = AbortOnDropHandle::new(tokio::spawn(async move { while incoming.next().await.is_some() {} }));
    let closing = CancellationToken::new();
    let watch = tls.watch_every(Duration::from_millis(10), closing.clone());
    let watching = tokio::spawn(watch);
    // A client that trusts this one alone gets through when it is served.
    let until = async |certificate: &str, name: &str| {
        fs::write(file(name), certificate).unwrap();
        let served = async { while connect(&file(name), address).await.is_err() {} };
        timeout(LIMIT, served).await.expect("it is not served");
    };
    until(&first, "first").await;
    let second = write(folder.path(), true);
    until(&second, "second").await;
    assert!(connect(&file("first"), address).await.is_err(), "the old one is not served any more");

    write(folder.path(), false);
    // However often it looks meanwhile.
    for _ in 0..20 {
        connect(&file("second"), address).await.unwrap();
    }
    let third = write(folder.path(), true);
    until(&third, "third").await;
    closing.cancel();
    timeout(LIMIT, watching).await.expect("it does not end").unwrap();
}

//! The port with TLS, the socket, and the files of both, as a process has them.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tandem_harness::{Process, Program, TestDatabase, until};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::LIMIT;

const SERVER: &str = env!("CARGO_BIN_EXE_tandem-server");
const ASK: &[u8] = b"GET /nowhere HTTP/1.1\r\nhost: box\r\nconnection: close\r\n\r\n";

/// A coordinator's database, folder and options.
struct House {
    database: TestDatabase,
}

impl House {
    fn path(&self, name: &str) -> PathBuf {
        self.database.folder.path().join(name)
    }

    fn program(&self, more: &[&str]) -> Program {
        let _ = fs::remove_file(self.path("announce.json"));
        Program::new("the server", Path::new(SERVER), &self.path("log"))
            .arg("--store")
            .arg(self.path("store"))
            .arg("--announce")
            .arg(self.path("announce.json"))
            .args(["--listen=127.0.0.1:0"])
            .args(more)
    }

    /// What it announces.
    fn start(&self, more: &[&str]) -> (Process, Value) {
        let program = self.program(more).env("DATABASE_URL", self.database.url());
        self.ready(&program)
    }

    fn ready(&self, program: &Program) -> (Process, Value) {
        let mut server = program.start().unwrap();
        let announced = until("the server listens", LIMIT, || {
            assert!(server.try_wait().unwrap().is_none(), "it ended before it was ready: {}", self.log());
            serde_json::from_slice(&fs::read(self.path("announce.json")).ok()?).ok()
        });
        (server, announced)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// How it ends at once, and its last line.
    fn refused(&self, more: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(SERVER);
        command.env_clear().args(["--database-url", "postgres://tandem:secret@127.0.0.1:1/tandem", "--store"]);
        let Output { status, stderr, .. } = command.arg(self.path("store")).args(more).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        (status.code(), stderr.lines().last().unwrap_or_default().to_owned())
    }
}

fn new_house() -> House {
    House { database: TestDatabase::create() }
}

/// Asks for a page that is not there, as one who has joined.
fn ask(address: &str, authority: &Path) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let client = ClientConnection::new(config, ServerName::try_from("tandem.internal").unwrap()).unwrap();
    let stream = TcpStream::connect(address.strip_prefix("https://").unwrap()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    stream.write_all(ASK).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_house_is_made_at_the_first_start_and_is_the_same_at_the_next() {
    let house = new_house();
    let folder = house.path("tls");
    let options = ["--tls-dir", folder.to_str().unwrap()];
    let (mut server, first) = house.start(&options);
    let (address, fingerprint) = (first["address"].as_str().unwrap(), first["fingerprint"].as_str().unwrap());
    assert!(ask(address, &folder.join("ca.pem")).starts_with("HTTP/1.1 404 "));
    assert_eq!(server.stop().unwrap().code(), Some(0));
    let (mut server, again) = house.start(&options);
    assert_eq!(again["fingerprint"], first["fingerprint"]);
    assert!(ask(again["address"].as_str().unwrap(), &folder.join("ca.pem")).starts_with("HTTP/1.1 404 "));
    assert_eq!(server.stop().unwrap().code(), Some(0));

    let log = house.log();
    assert!(log.contains(&format!("join with: tandem join {address} {fingerprint}")), "{log}");
    for name in ["ca.key", "server.key"] {
        let key = fs::read_to_string(folder.join(name)).unwrap();
        assert!(key.lines().all(|line| !log.contains(line)), "{name} is in the log");
    }
    let printed = Command::new(SERVER).arg("fingerprint").arg("--tls-dir").arg(&folder).output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim_end(), fingerprint);
}

#[test]
fn two_thousand_clients_that_say_nothing_harm_nobody() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    assert!(maximum.is_none_or(|files| files > 4000), "this machine allows too few open files for the test");
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let house = new_house();
    let folder = house.path("tls");
    let (_server, announced) = house.start(&["--tls-dir", folder.to_str().unwrap()]);
    let address = announced["address"].as_str().unwrap();
    let place = address.strip_prefix("https://").unwrap();
    let mut silent: Vec<_> = (0..2000).map(|_| TcpStream::connect(place).unwrap()).collect();
    // Half a handshake.
    silent.iter_mut().step_by(10).for_each(|stream| stream.write_all(&[0x16, 3, 1]).unwrap());
    assert!(ask(address, &folder.join("ca.pem")).starts_with("HTTP/1.1 404 "));
    silent.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    let is_open = |mut stream: &TcpStream| matches!(stream.read(&mut [0; 8]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(silent.iter().any(is_open), "they were there meanwhile");
    until("they are closed", LIMIT, || (!silent.iter().any(is_open)).then_some(()));
}

#[tokio::test]
async fn a_client_without_tls_is_told_so_by_its_status() {
    let house = new_house();
    let (_server, announced) = house.start(&["--tls-dir", house.path("tls").to_str().unwrap()]);
    let plain = announced["address"].as_str().unwrap().replace("https://", "http://");
    let channel = Endpoint::from_shared(plain).unwrap().timeout(LIMIT).connect().await.unwrap();
    let status = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("tandem join"), "{status:?}");
}

#[test]
fn the_socket_serves_goes_with_its_server_and_comes_back_after_a_kill() {
    let house = new_house();
    let path = house.path("run/socket");
    let options = ["--socket", path.to_str().unwrap()];
    let (mut server, announced) = house.start(&options);
    assert_eq!(announced["socket"].as_str(), path.to_str());
    assert!(announced["address"].as_str().unwrap().starts_with("http://") && announced["fingerprint"].is_null());
    let served = || {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(ASK).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    };
    served();
    let (code, words) = house.refused(&["--listen=127.0.0.1:0", options[0], options[1]]);
    assert!(code == Some(71) && words.contains("another process listens on"), "{code:?}: {words}");
    served();
    server.kill();
    assert!(path.exists());
    let (mut server, _) = house.start(&options);
    served();
    assert_eq!(server.stop().unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn what_would_not_be_safe_is_refused_with_what_to_do() {
    let house = new_house();
    let (pem, key) = (house.path("pem"), house.path("key"));
    let made = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["box".to_owned()]).unwrap();
    let write = |file: &Path, text: &str, mode| {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    };
    write(&key, &made.serialize_pem(), 0o644);
    write(&pem, &params.self_signed(&made).unwrap().pem(), 0o644);
    let given = ["--listen=0.0.0.0:0", "--tls-cert", pem.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let (code, words) = house.refused(&given);
    assert!(code == Some(78) && words.contains("chmod 600"), "{code:?}: {words}");
    write(&key, &made.serialize_pem(), 0o600);
    // It goes on as far as the database, which is not there.
    assert_eq!(house.refused(&given).0, Some(69));
    params.not_after = rcgen::date_time_ymd(2021, 2, 3);
    write(&pem, &params.self_signed(&made).unwrap().pem(), 0o644);
    let (code, words) = house.refused(&given);
    assert!(code == Some(78) && words.contains("ended at 2021-02-03"), "{code:?}: {words}");
    let (code, words) = house.refused(&["--listen=0.0.0.0:0", "--socket", "/x"]);
    assert!(code == Some(78) && words.contains("--tls-dir"), "{code:?}: {words}");
}

#[test]
fn the_databases_password_comes_from_a_file_that_is_nobody_elses() {
    let house = new_house();
    let url = house.database.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (account, place) = rest.split_once('@').unwrap();
    let (user, password) = account.split_once(':').unwrap();
    let file = house.path("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let option = ["--database-password-file", file.to_str().unwrap()];
    let (code, words) = house.refused(&["--listen=127.0.0.1:0", option[0], option[1]]);
    assert!(code == Some(78) && words.contains("chmod 600") && !words.contains(password), "{code:?}: {words}");

    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let program = house.program(&option).env("DATABASE_URL", format!("{scheme}://{user}:wrong@{place}"));
    let (mut server, _) = house.ready(&program);
    assert_eq!(server.stop().unwrap().code(), Some(0));
    assert!(!house.log().contains(password));
}

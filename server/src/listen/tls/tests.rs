//! A house's folder through its life, and given files that change.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::{pki_types::CertificateDer, sign::CertifiedKey};
use tempfile::TempDir;

use super::{
    check::serves,
    house::{fingerprint_in, issue, open},
    names::Names,
    pair,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct House {
    folder: TempDir,
}

impl House {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tls")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn open(&self) -> Result<(CertifiedKey, String), String> {
        self.open_as("127.0.0.1:7077")
    }

    fn open_as(&self, listen: &str) -> Result<(CertifiedKey, String), String> {
        let opened = open(&self.path(), &Names::here(listen.parse().unwrap()));
        opened.map_err(|error| {
            let words = error.to_string();
            assert!(!words.contains("MIG") && !words.contains('\n'), "{words}");
            words
        })
    }

    fn authority(&self) -> CertificateDer<'static> {
        pair::certificates(&self.file("ca.pem")).unwrap().swap_remove(0)
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_house_is_made_once_and_kept() {
    let house = House::new();
    let (made, fingerprint) = house.open().unwrap();
    assert_eq!(mode(&house.path()), 0o700);
    assert_eq!((mode(&house.file("ca.key")), mode(&house.file("server.key"))), (0o600, 0o600));
    assert_eq!(fingerprint, fingerprint_in(&house.path()).unwrap());
    assert_eq!((fingerprint.len(), pair::fingerprint(made.cert.last().unwrap())), (64, fingerprint.clone()));
    let (kept, again) = house.open().unwrap();
    assert_eq!((&kept.cert, &again), (&made.cert, &fingerprint), "nothing is made again");

    // Another address: another certificate of the same house.
    let (moved, again) = house.open_as("10.1.2.3:7077").unwrap();
    assert_ne!(moved.cert[0], made.cert[0]);
    assert_eq!(again, fingerprint);
    for spoil in ["server.pem", "server.key"] {
        fs::write(house.file(spoil), "-----BEGIN CERTIFICATE-----\n").unwrap();
        let (mended, again) = house.open().unwrap();
        assert_eq!((mended.cert.len(), &again), (2, &fingerprint), "{spoil}");
        fs::remove_file(house.file(spoil)).unwrap();
        assert_eq!(house.open().unwrap().1, fingerprint, "without {spoil}");
    }
}

#[test]
fn a_certificate_serves_for_its_names_its_time_and_its_house_alone() {
    let (house, other) = (House::new(), House::new());
    let (key, _) = house.open_as("10.1.2.3:7077").unwrap();
    other.open().unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let ca = house.authority();
    assert_eq!(serves(&key, &ca, &names(&["tandem.internal", "localhost", "10.1.2.3", "::1"]), DAY * 30), Ok(()));
    assert!(serves(&key, &ca, &names(&["elsewhere"]), DAY).unwrap_err().contains("as elsewhere"));
    assert_eq!(serves(&key, &ca, &names(&["localhost"]), DAY * (5 * 365 - 1)), Ok(()));
    assert!(serves(&key, &ca, &names(&["localhost"]), DAY * (5 * 365 + 1)).unwrap_err().contains("expired"));
    assert!(serves(&key, &other.authority(), &names(&["localhost"]), DAY).unwrap_err().contains("ca.pem"));
    let (stranger, _) = other.open().unwrap();
    let mut mixed = stranger.cert;
    mixed[1] = ca.clone();
    let mixed = CertifiedKey::new(mixed, stranger.key);
    assert!(serves(&mixed, &ca, &names(&["localhost"]), DAY).is_err(), "signed by another house");
}

#[test]
fn what_others_can_read_or_write_is_refused_and_not_replaced() {
    let house = House::new();
    house.open().unwrap();
    for key in ["ca.key", "server.key"] {
        let before = fs::read(house.file(key)).unwrap();
        fs::set_permissions(house.file(key), Permissions::from_mode(0o640)).unwrap();
        let words = house.open().err().unwrap();
        assert!(words.contains(key) && words.contains("0640") && words.contains("chmod 600"), "{words}");
        assert_eq!(fs::read(house.file(key)).unwrap(), before);
        fs::set_permissions(house.file(key), Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(house.path(), Permissions::from_mode(0o770)).unwrap();
    assert!(house.open().err().unwrap().contains("chmod 700"));
}

#[test]
fn what_is_missing_is_made_only_where_nobody_can_have_joined() {
    let house = House::new();
    let (_, fingerprint) = house.open().unwrap();
    let copy = fs::read(house.file("ca.pem")).unwrap();
    fs::remove_file(house.file("ca.pem")).unwrap();
    let words = house.open().err().unwrap();
    assert!(words.contains("ca.pem is not in") && words.contains("another fingerprint"), "{words}");
    fs::write(house.file("ca.pem"), copy).unwrap();
    assert_eq!(house.open().unwrap().1, fingerprint);

    let stranger = House::new();
    stranger.open().unwrap();
    fs::copy(stranger.file("ca.key"), house.file("ca.key")).unwrap();
    assert!(house.open().err().unwrap().contains("not the key of the certificate ca.pem"));

    // A first start that was cut after the key.
    for file in ["ca.pem", "server.pem", "server.key"] {
        fs::remove_file(stranger.file(file)).unwrap();
    }
    let key = fs::read(stranger.file("ca.key")).unwrap();
    stranger.open().unwrap();
    assert_eq!(fs::read(stranger.file("ca.key")).unwrap(), key);
}

#[test]
fn a_further_coordinator_serves_for_the_same_house_without_its_key() {
    let (house, further) = (House::new(), House::new());
    let names = Names::of(&["box2".to_owned()]).unwrap();
    assert!(issue(&house.path(), &further.path(), &names).unwrap_err().to_string().contains("no ca.key"));
    let (_, fingerprint) = house.open().unwrap();
    assert_eq!(issue(&house.path(), &further.path(), &names).unwrap(), fingerprint);
    let mut files: Vec<_> = fs::read_dir(further.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["ca.pem", "server.key", "server.pem"]);
    assert_eq!((mode(&further.path()), mode(&further.file("server.key"))), (0o700, 0o600));
    let (key, again) = further.open_as("10.9.9.9:7077").unwrap();
    assert_eq!(again, fingerprint);
    assert_eq!(serves(&key, &house.authority(), &["box2".to_owned()], DAY), Ok(()));

    fs::write(house.file("receipt.key"), "signs receipts").unwrap();
    fs::set_permissions(house.file("receipt.key"), Permissions::from_mode(0o600)).unwrap();
    issue(&house.path(), &further.path(), &names).unwrap();
    assert_eq!(fs::read_to_string(further.file("receipt.key")).unwrap(), "signs receipts");
    assert_eq!(mode(&further.file("receipt.key")), 0o600);
    assert_ne!(further.open().unwrap().0.cert[0], key.cert[0], "it can be renewed");
    fs::remove_file(further.file("server.key")).unwrap();
    let words = further.open().err().unwrap();
    assert!(words.contains("tandem-server issue") && words.contains("server.key"), "{words}");

    let other = House::new();
    other.open().unwrap();
    let refused = |out: &House| issue(&house.path(), &out.path(), &names).unwrap_err().to_string();
    assert!(refused(&house).contains("the house's own folder"));
    fs::remove_file(other.file("ca.key")).unwrap();
    assert!(refused(&other).contains("another house's ca.pem"));
}

//! A real server, run from the installed binaries.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, thread};

use tandem_local_postgres::{LocalPostgres, Options};

const QUICK: Options = Options { durable: false };

/// Open to all: started by root, Postgres runs as another user, who must be able to enter it.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn a_restart_keeps_data_port_and_password() {
    let dir = folder();
    let path = dir.path().join("postgres");
    let first = LocalPostgres::start_with(&path, QUICK).unwrap();
    first.create_database("tandem").unwrap();
    first.create_database("tandem").unwrap();
    first.psql("tandem", "CREATE TABLE t (x int); INSERT INTO t VALUES (42);").unwrap();
    let url = first.url("tandem");
    first.stop().unwrap();

    let second = LocalPostgres::start_with(&path, QUICK).unwrap();
    assert_eq!(second.url("tandem"), url);
    assert_eq!(second.psql("tandem", "SELECT x FROM t;").unwrap(), "42");
    let mode = fs::metadata(path.join("password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn outlives_the_thread_that_started_it_and_not_its_owner() {
    let dir = folder();
    let path = dir.path().join("postgres");
    let mut postgres = thread::spawn(move || LocalPostgres::start_with(&path, QUICK).unwrap()).join().unwrap();
    assert_eq!(postgres.psql("postgres", "SELECT 1;").unwrap(), "1");
    assert!(postgres.is_running());
    let process = std::path::PathBuf::from(format!("/proc/{}", postgres.pid()));
    assert!(process.exists());
    drop(postgres);
    assert!(!process.exists());
}

#[test]
fn a_taken_port_is_replaced() {
    let dir = folder();
    let path = dir.path().join("postgres");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("port"), taken.to_string()).unwrap();
    let postgres = LocalPostgres::start_with(&path, QUICK).unwrap();
    assert_ne!(postgres.port(), taken);
}

#[test]
fn wrong_input_is_refused_with_its_reason() {
    let dir = folder();
    let postgres = LocalPostgres::start_with(&dir.path().join("postgres"), QUICK).unwrap();
    let name = postgres.create_database("x\"; DROP").unwrap_err().to_string();
    assert!(name.contains("no database name"), "{name}");
    let sql = postgres.psql("postgres", "SELECT nonsense;").unwrap_err().to_string();
    assert!(sql.contains("nonsense"), "{sql}");
}

#[test]
fn a_path_that_postgres_could_not_read_back_is_refused_before_anything_is_made() {
    use std::os::unix::ffi::OsStringExt as _;
    let dir = folder();
    for name in [b"caf\xe9".to_vec(), b"two\nlines".to_vec()] {
        let path = dir.path().join(std::ffi::OsString::from_vec(name));
        let error = LocalPostgres::start_with(&path, QUICK).unwrap_err().to_string();
        assert!(error.contains("not UTF-8, or control characters"), "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn an_empty_password_file_is_named() {
    let dir = folder();
    let path = dir.path().join("postgres");
    LocalPostgres::start_with(&path, QUICK).unwrap().stop().unwrap();
    fs::write(path.join("password"), "\n").unwrap();
    let error = LocalPostgres::start_with(&path, QUICK).unwrap_err().to_string();
    assert!(error.contains("password is empty"), "{error}");
}

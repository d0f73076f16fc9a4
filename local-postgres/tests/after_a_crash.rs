//! What a crash or a power cut leaves keeps no server from starting.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, User, geteuid},
};
use tandem_local_postgres::{LocalPostgres, Options};

const QUICK: Options = Options { durable: false };
const DEADLINE: Duration = Duration::from_secs(120);
/// Where the child of this test starts a server.
const DIR: &str = "TANDEM_TEST_DIR";

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    // As root, Postgres runs as another user, who must be able to enter it.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Not a test by itself: what is killed in the others.
#[test]
#[ignore = "needs a parent: it starts a server and waits to be killed"]
fn starts_a_server_and_waits() {
    let _postgres = LocalPostgres::start_with(Path::new(&env::var_os(DIR).unwrap()), QUICK).unwrap();
    loop {
        thread::park();
    }
}

/// A process group of its own, so that initdb can be killed together with who started it.
fn start_in_a_child(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "starts_a_server_and_waits", "--ignored"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// A file below one of the folders that initdb works in.
fn unfinished(dir: &Path, file: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    let mut paths = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_name().to_str()?.starts_with("data.new.").then(|| entry.path().join(file))
    });
    paths.find(|path| path.exists())
}

#[test]
fn a_first_start_that_is_killed_at_any_moment_leaves_a_folder_that_starts() {
    let dir = folder();
    let path = dir.path().join("postgres");
    let moments: [(&str, &dyn Fn() -> bool); 6] = [
        ("the password is there", &|| path.join("password").exists()),
        ("initdb has begun", &|| unfinished(&path, "").is_some()),
        ("the version is written", &|| unfinished(&path, "PG_VERSION").is_some()),
        ("the control file is written", &|| unfinished(&path, "global/pg_control").is_some()),
        ("the data have their name", &|| path.join("data").exists()),
        ("the server starts", &|| path.join("data/postmaster.pid").exists()),
    ];
    for (moment, reached) in moments {
        let mut child = start_in_a_child(&path);
        let deadline = Instant::now() + DEADLINE;
        while !reached() {
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "never came to: {moment}");
            thread::sleep(Duration::from_millis(1));
        }
        killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        // Only what has its name counts as made.
        assert!(path.join("data/global/pg_control").exists() || !path.join("data").exists(), "{moment}");
    }
    let postgres = LocalPostgres::start_with(&path, QUICK).unwrap();
    assert_eq!(postgres.psql("postgres", "SELECT 1;").unwrap(), "1");
    let leftovers = || unfinished(&path, "").is_some();
    assert!(!leftovers(), "leftovers of initdb stay");
}

/// A process of the user that Postgres runs as: Postgres takes any such number for a server.
fn stranger() -> Child {
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    if geteuid().is_root() {
        let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).unwrap()).unwrap();
        sleep.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    sleep.spawn().unwrap()
}

fn crashed(dir: &Path) {
    let postgres = LocalPostgres::start_with(dir, QUICK).unwrap();
    nix::sys::signal::kill(Pid::from_raw(postgres.pid().cast_signed()), Signal::SIGKILL).unwrap();
    drop(postgres);
    assert!(dir.join("data/postmaster.pid").exists(), "a server that was killed leaves its lock file");
}

/// Gives the lock file another process, as a power cut does.
fn name_in_lock_file(dir: &Path, pid: u32) {
    let path = dir.join("data/postmaster.pid");
    let text = fs::read_to_string(&path).unwrap();
    let rest = text.split_once('\n').unwrap().1;
    fs::write(&path, format!("{pid}\n{rest}")).unwrap();
}

#[test]
fn a_lock_file_whose_number_is_another_process_now_is_removed() {
    let dir = folder();
    let path = dir.path().join("postgres");
    crashed(&path);
    let mut stranger = stranger();
    name_in_lock_file(&path, stranger.id());
    let started =
        LocalPostgres::start_with(&path, QUICK).map(|postgres| postgres.psql("postgres", "SELECT 1;").unwrap());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(started.unwrap(), "1");
}

#[test]
fn the_server_of_another_folder_is_not_waited_for() {
    let dir = folder();
    let (path, other) = (dir.path().join("postgres"), dir.path().join("other"));
    crashed(&path);
    let other = LocalPostgres::start_with(&other, QUICK).unwrap();
    name_in_lock_file(&path, other.pid());
    let postgres = LocalPostgres::start_with(&path, QUICK).unwrap();
    assert_eq!(other.psql("postgres", "SELECT 1;").unwrap() + &postgres.psql("postgres", "SELECT 1;").unwrap(), "11");
}

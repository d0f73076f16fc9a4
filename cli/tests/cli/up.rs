//! `up` and `down` with a real Postgres. Small scripts stand in for the coordinator and the workers, so that their
//! starts and ends can be seen one by one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_proto::v1::{StatusResponse, Worker, WorkerState};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    NO_FOLDER, Run,
    coordinator::{Coordinator, Script},
};

const DEADLINE: Duration = Duration::from_secs(30);

/// Says its name and process id when it starts, and its name again when it is asked to end.
const STAND_IN: &str = r#"
trap 'echo "stopped $name" >> "$TRACE"; exit 0' TERM
echo "$name $$" >> "$TRACE"
while :; do sleep 0.05; done
"#;
const SERVER: &str = r#"#!/bin/sh
name=server
while [ $# -gt 0 ]; do
  case $1 in
    --announce) echo "{\"address\": \"$ADDRESS\", \"socket\": \"$SOCKET\"}" > "$2" ;;
    *postgres://*:*@*) echo "a password in my arguments: $2" >&2; exit 70 ;;
    --listen) if [ "$2" = 127.0.0.1:1 ]; then echo "cannot listen on $2: port in use" >&2; exit 69; fi ;;
  esac
  shift
done
"#;
const WORKER: &str = "#!/bin/sh\nwhile [ \"$1\" != --name ]; do shift; done\nname=$2\n";

struct TestHome {
    dir: tempfile::TempDir,
    coordinator: Coordinator,
}

/// Announced, and never asked: `up` and the commands of its owner use the socket.
const ADDRESS: &str = "http://127.0.0.1:9";

impl TestHome {
    async fn new() -> Self {
        let idle = |name: &str| Worker { name: name.to_owned(), state: WorkerState::Idle.into(), ..Worker::default() };
        let workers = vec![idle("cpu-0"), idle("cpu-1")];
        let script = Script { status: StatusResponse { workers, ..StatusResponse::default() }, ..Script::default() };
        let coordinator = Coordinator::with(script);
        let dir = tempfile::tempdir().unwrap();
        coordinator.serve_socket(&dir.path().join("socket"));
        // As root, Postgres runs as another account that must get to its cluster.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, script) in [("tandem-server", SERVER), ("tandem-worker", WORKER)] {
            let path = dir.path().join(name);
            fs::write(&path, format!("{script}{STAND_IN}")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir, coordinator }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn tandem(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .args(args)
            .env("TANDEM_HOME", self.home())
            .env("TANDEM_BIN_DIR", self.dir.path())
            .env("TRACE", self.dir.path().join("trace"))
            .env("ADDRESS", ADDRESS)
            .env("SOCKET", self.socket())
            .env("TANDEM_SOCKET", "/nonexistent")
            .env_remove("TANDEM_TOKEN")
            .env_remove("TANDEM_TOKEN_FILE")
            .env_remove("TANDEM_CONTEXT")
            .env("XDG_CONFIG_HOME", NO_FOLDER)
            .env_remove("TANDEM_SERVER")
            .stdin(Stdio::null());
        command
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    async fn run(&self, args: &[&str]) -> Run {
        Run(self.tandem(args).output().await.unwrap())
    }

    /// A supervisor that is ready, and what it said about itself. Its notes go to a file.
    async fn up(&self) -> (Child, serde_json::Value) {
        let notes = fs::File::create(self.notes()).unwrap();
        let mut up = self
            .tandem(&["up", "--json", "--devices", "cpu"])
            .stdout(Stdio::piped())
            .stderr(notes)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let line = BufReader::new(up.stdout.take().unwrap()).lines().next_line().await.unwrap();
        (up, serde_json::from_str(&line.expect("it says when it is ready")).unwrap())
    }

    fn notes(&self) -> PathBuf {
        self.dir.path().join("notes")
    }

    fn trace(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("trace")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Process ids under a name, oldest first.
    fn pids(&self, name: &str) -> Vec<Pid> {
        let pids = self.trace().into_iter().filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        pids.map(Pid::from_raw).collect()
    }

    /// `None` between an end of it and its next start: the file goes, comes back empty, and is filled.
    fn postgres(&self) -> Option<Pid> {
        let lock = fs::read_to_string(self.home().join("postgres/data/postmaster.pid")).ok()?;
        lock.lines().next()?.parse().ok().map(Pid::from_raw)
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_gone(pid: Pid) -> bool {
    let zombie = || {
        let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
    };
    kill(pid, None) == Err(Errno::ESRCH) || zombie()
}

#[tokio::test]
async fn one_supervisor_per_home_which_repairs_and_stops_in_order() {
    let test_home = TestHome::new().await;
    let (mut up, state) = test_home.up().await;
    assert_eq!((&state["server"], &state["socket"]), (&ADDRESS.into(), &test_home.socket().to_str().into()));
    assert_eq!(state["workers"], serde_json::json!(["cpu-0", "cpu-1"]));

    let second = test_home.run(&["up"]).await;
    assert_eq!(second.code(), Some(75));
    assert!(second.stderr().contains(&format!("process {}", up.id().unwrap())), "{}", second.stderr());

    let list = test_home.run(&["status", "--json"]).await;
    let socket = format!("unix:{}", test_home.socket().display());
    assert_eq!(list.json()["server"], socket, "other commands find it by themselves");

    let kept = fs::read_to_string(test_home.home().join("up.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let file = Path::new(kept["database_password_file"].as_str().unwrap());
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let password = fs::read_to_string(file).unwrap();
    assert!(!kept.to_string().contains(password.trim()) && !state.to_string().contains(password.trim()));
    let mut psql = Command::new("psql");
    psql.args([kept["database_url"].as_str().unwrap(), "-c", "SELECT 1"]).env("PGPASSWORD", password.trim());
    let psql = psql.output().await.unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));

    until("both workers run", || test_home.trace().len() == 3).await;
    let victim = test_home.pids("cpu-1")[0];
    kill(victim, Signal::SIGKILL).unwrap();
    until("the killed worker is started again", || test_home.pids("cpu-1").len() == 2).await;
    let postgres = test_home.postgres().unwrap();
    kill(postgres, Signal::SIGKILL).unwrap();
    until("postgres is started again", || is_gone(postgres) && test_home.postgres().is_some_and(|pid| pid != postgres))
        .await;

    let down = test_home.run(&["down"]).await;
    assert_eq!(down.code(), Some(0), "{}", down.stderr());
    assert_eq!(up.wait().await.unwrap().code(), Some(0));
    let stopped: Vec<String> = test_home.trace().into_iter().filter(|line| line.starts_with("stopped")).collect();
    assert_eq!(stopped.len(), 3, "{stopped:?}");
    assert_eq!(stopped[2], "stopped server", "the coordinator goes after its workers");
    assert!(!test_home.home().join("postgres/data/postmaster.pid").exists());

    let nothing = test_home.run(&["down", "--json"]).await;
    assert_eq!((nothing.code(), &nothing.json()["stopped"]), (Some(0), &serde_json::json!(false)));
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing_behind_and_the_home_is_usable() {
    let test_home = TestHome::new().await;
    let (mut up, _) = test_home.up().await;
    until("all run", || test_home.trace().len() == 3).await;
    let children = [
        test_home.pids("server")[0],
        test_home.pids("cpu-0")[0],
        test_home.pids("cpu-1")[0],
        test_home.postgres().unwrap(),
    ];
    up.kill().await.unwrap();
    for pid in children {
        until("a child has ended", || is_gone(pid)).await;
    }
    assert_eq!(test_home.run(&["down"]).await.code(), Some(0), "nothing to stop");

    let join = |name: &str| fs::read_to_string(test_home.home().join(format!("workers/{name}.join"))).unwrap();
    let joined = [join("cpu-0"), join("cpu-1")];
    assert!(joined[0].contains(ADDRESS) && joined[0].contains("tdm_") && joined[0] != joined[1], "{joined:?}");
    // One is good, and the other was revoked meanwhile.
    test_home.coordinator.script().tokens[1].state = "revoked".to_owned();
    let again = test_home.run(&["up", "--devices", "cpu", "--detach", "--json"]).await;
    assert_eq!(again.code(), Some(0), "{}", again.stderr());
    assert_eq!(test_home.pids("server").len(), 2);
    assert!(join("cpu-0") == joined[0] && join("cpu-1") != joined[1], "a good token is used again");
    let made: Vec<_> = test_home.coordinator.script().new_tokens.iter().map(|asked| asked.name.clone()).collect();
    assert_eq!(made, ["cpu-0", "cpu-1", "cpu-1"]);
    assert_eq!(test_home.run(&["down"]).await.code(), Some(0));
}

#[tokio::test]
async fn a_database_that_is_slow_to_start_again_keeps_nobody_from_stopping() {
    let test_home = TestHome::new().await;
    let (mut up, _) = test_home.up().await;
    // What looks like a server of this home that will not end: a start waits for it.
    let data = test_home.home().join("postgres/data");
    let stand_in = test_home.dir.path().join("postgres");
    fs::copy("/bin/sleep", &stand_in).unwrap();
    let mut sleeping = Command::new(&stand_in).arg("600").current_dir(&data).kill_on_drop(true).spawn().unwrap();
    let postgres = test_home.postgres().unwrap();
    kill(postgres, Signal::SIGKILL).unwrap();
    let notes = || fs::read_to_string(test_home.notes()).unwrap();
    until("the supervisor starts it again", || notes().contains("starting it again")).await;
    let heard = async {
        let up_pid = Pid::from_raw(up.id().unwrap().cast_signed());
        kill(up_pid, Signal::SIGINT).unwrap();
        until("all others are stopped", || notes().contains("stopping postgres")).await;
        kill(up_pid, Signal::SIGINT).unwrap();
        up.wait().await.unwrap().code()
    };
    // The start gives up after 30 s: what is heard only then is heard too late.
    let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
    assert_eq!(heard.expect("Ctrl-C is heard meanwhile, and so is the second"), Some(0));
    assert!(sleeping.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn a_coordinator_that_cannot_start_says_why() {
    let test_home = TestHome::new().await;
    for detach in [&[][..], &["--detach"]] {
        let up = test_home.run(&[&["up", "--listen", "127.0.0.1:1"], detach].concat()).await;
        assert_eq!(up.code(), Some(69), "{}", up.stderr());
        let last = up.stderr().lines().last().unwrap_or_default();
        assert_eq!(last, "tandem: cannot start the coordinator: cannot listen on 127.0.0.1:1: port in use");
        assert!(!test_home.home().join("up.json").exists());
    }
    until("postgres has ended", || !test_home.home().join("postgres/data/postmaster.pid").exists()).await;
}

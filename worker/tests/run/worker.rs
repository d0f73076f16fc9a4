//! A worker process, and what the tests ask of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tandem_domain::spec::JobSpec;
use tandem_proto::v1::{
    Assignment, RankEnded, RankOutcome, coordinator_message, rank_event::Event as Kind, worker_message,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::coordinator::{Coordinator, DEADLINE, Session};

pub(crate) const JOB: &str = "0198c5a2-6f4e-7c3a-9d52-0a1b2c3d4e5f";

/// A worker whose rank trains, and their coordinator.
pub(crate) struct Training {
    pub(crate) coordinator: Coordinator,
    pub(crate) worker: Worker,
    pub(crate) session: Session,
}

impl Training {
    /// Attempt `a` with fence 3. `more` are further arguments of the worker.
    pub(crate) async fn start(more: &[&str]) -> Self {
        let mut coordinator = Coordinator::start().await;
        let worker = Worker::start_in(tempfile::tempdir().unwrap(), &coordinator.url(), more);
        let mut session = coordinator.session().await;
        assign(&session, endless("a", 3)).await;
        session.until(&mut Vec::new(), is_training).await;
        Self { coordinator, worker, session }
    }
}

/// Two workers whose ranks train together, and their coordinator.
pub(crate) struct Gang {
    pub(crate) coordinator: Coordinator,
    pub(crate) workers: [Worker; 2],
    /// Of rank 0 and rank 1, whichever workers have them.
    pub(crate) sessions: [Session; 2],
}

impl Gang {
    /// Attempt `a` with fence 5. `more` are further arguments of the workers.
    pub(crate) async fn start(more: &[&str]) -> Self {
        let mut coordinator = Coordinator::start().await;
        let workers = [(); 2].map(|()| Worker::start_in(tempfile::tempdir().unwrap(), &coordinator.url(), more));
        let (mut zero, mut one) = (coordinator.session().await, coordinator.session().await);
        assign(&zero, of_two("a", 5, 0)).await;
        assign(&one, of_two("a", 5, 1)).await;
        let (mut of_zero, mut of_one) = (Vec::new(), Vec::new());
        let meeting = |message: &worker_message::Message| match message {
            worker_message::Message::Rendezvous(at) => Some(at.clone()),
            _ => None,
        };
        // Both streams must be read all the time: their heartbeats want answers.
        let at = tokio::select! {
            at = zero.until(&mut of_zero, meeting) => at,
            end = one.until(&mut of_one, ended) => panic!("rank 1 ended: {end:?}"),
        };
        assert_eq!((at.attempt_id.as_str(), at.fence), ("a", 5));
        one.send(coordinator_message::Message::Rendezvous(at)).await;
        tokio::select! {
            () = zero.until(&mut of_zero, is_training) => {}
            end = one.until(&mut of_one, ended) => panic!("rank 1 ended: {end:?}"),
        }
        Self { coordinator, workers, sessions: [zero, one] }
    }
}

/// A worker process in folders of its own.
pub(crate) struct Worker {
    pub(crate) process: Child,
    pub(crate) folders: TempDir,
}

impl Worker {
    pub(crate) fn start(server: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), server, &[])
    }

    /// In folders that may have been another process's.
    pub(crate) fn start_in(folders: TempDir, server: &str, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-worker"));
        command.arg("run");
        Self::start_by(command, folders, server, "cpu", more)
    }

    /// On the first card of the box in this file, at which it looks five times a second.
    pub(crate) fn start_on_a_card(server: &str, known: &Path) -> Self {
        // Cargo puts it beside the tests.
        let library = std::env::current_exe().unwrap().with_file_name("libtandem_fake_nvml.so");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem-worker"));
        command.env(tandem_fake_nvml::BOX_FILE, known).arg("run").arg("--nvml").arg(library);
        Self::start_by(command, tempfile::tempdir().unwrap(), server, "cuda:0", &["--sample-every", "200ms"])
    }

    /// As a machine on which a process gets no more than so many KiB of addresses.
    pub(crate) fn start_with_little_memory(kibibytes: u64, server: &str) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("ulimit -v {kibibytes} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_tandem-worker"));
        command.arg("run");
        Self::start_by(command, tempfile::tempdir().unwrap(), server, "cpu", &[])
    }

    fn start_by(mut command: Command, folders: TempDir, server: &str, device: &str, more: &[&str]) -> Self {
        let at = |name: &str| -> PathBuf { folders.path().join(name) };
        command.args(["--server", server, "--name", "left", "--device", device]).args(more);
        command.arg("--data").arg(at("data")).arg("--state").arg(at("state"));
        let process = command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        Self { process, folders }
    }

    /// kill -9, and what it leaves behind.
    pub(crate) async fn killed(mut self) -> TempDir {
        self.signal(Signal::KILL);
        timeout(DEADLINE, self.process.wait()).await.expect("it does not die").unwrap();
        self.folders
    }

    /// The spool of rank 0 of that attempt, which may not be there.
    pub(crate) fn spool(&self, attempt: &str) -> PathBuf {
        spool(&self.folders, attempt)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.process.id().unwrap()), signal).unwrap();
    }

    /// The exit code; waits for the end.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        timeout(DEADLINE, self.process.wait()).await.expect("the worker does not leave").unwrap().code()
    }

    /// The processes that it started: at most one, its rank.
    pub(crate) fn rank(&self) -> Option<u32> {
        let parent = self.process.id().unwrap();
        fs::read_dir("/proc").unwrap().find_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // Beside the process that reads the data folder.
            let is_rank =
                || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(6).any(|w| w == b"\0rank\0"));
            (parent_of(pid) == Some(parent) && is_rank()).then_some(pid)
        })
    }
}

pub(crate) fn spool(folders: &TempDir, attempt: &str) -> PathBuf {
    folders.path().join("state/spool").join(format!("{attempt}-0.spool"))
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

/// `None` once the process is gone; a zombie is.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let (state, parent) = state_of(pid)?;
    (state != "Z").then_some(parent)
}

/// The kernel's letter for what a process does ("T": stopped by a signal), and its parent.
pub(crate) fn state_of(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Ready to train for longer than any test waits.
pub(crate) fn endless(attempt_id: &str, fence: i64) -> Assignment {
    let spec = r#"{"name": "encoder", "dataset": "shapes", "seed": 1, "workers": {"min": 1, "max": 1}, "shards": 1,
        "threads": 1, "inputs": [], "stage": {"stage": "contrastive", "encoder": "resnet-tiny", "epochs": 100000,
        "batch_size": 32, "monitor": {"every_epochs": 0}}}"#;
    // What the coordinator stores is what it parsed.
    let spec: JobSpec = serde_json::from_str(spec).unwrap();
    Assignment {
        attempt_id: attempt_id.to_owned(),
        job_id: JOB.to_owned(),
        fence,
        number: 1,
        rank: 0,
        world_size: 1,
        spec_json: serde_json::to_string(&spec).unwrap(),
        ..Default::default()
    }
}

/// A job whose data are not on this machine.
pub(crate) fn hopeless(attempt_id: &str, fence: i64) -> Assignment {
    let mut assignment = endless(attempt_id, fence);
    assignment.spec_json = assignment.spec_json.replace("\"shapes\"", "\"folder:nowhere\"");
    assignment
}

/// As `endless`, for one rank of two.
pub(crate) fn of_two(attempt_id: &str, fence: i64, rank: u32) -> Assignment {
    let alone = endless(attempt_id, fence);
    let spec_json = alone.spec_json.replace("\"shards\":1", "\"shards\":2");
    Assignment { rank, world_size: 2, spec_json, ..alone }
}

pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    let poll = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !condition() {
            ticks.tick().await;
        }
    };
    timeout(DEADLINE, poll).await.expect("it never came true");
}

pub(crate) async fn assign(session: &Session, assignment: Assignment) {
    session.send(coordinator_message::Message::Assignment(assignment)).await;
}

/// Waits until the rank of attempt `b`, which finds no data, has ended; nothing of another attempt may be reported before.
pub(crate) async fn only_b_is_reported(session: &mut Session) {
    let of_b = |message: &worker_message::Message| {
        if let worker_message::Message::Report(report) = message {
            assert_eq!(report.attempt_id, "b");
        }
        ended(message)
    };
    let end = session.until(&mut Vec::new(), of_b).await;
    assert_eq!((end.attempt_id.as_str(), end.outcome()), ("b", RankOutcome::InputMissing), "{}", end.cause);
}

pub(crate) fn ended(message: &worker_message::Message) -> Option<RankEnded> {
    match message {
        worker_message::Message::RankEnded(ended) => Some(ended.clone()),
        _ => None,
    }
}

pub(crate) fn is_training(message: &worker_message::Message) -> Option<()> {
    let worker_message::Message::Report(report) = message else { return None };
    report.events.iter().any(|event| matches!(event.event, Some(Kind::Metric(_)))).then_some(())
}

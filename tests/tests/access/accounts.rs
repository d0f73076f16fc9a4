//! Accounts of the box at the socket: the kernel says who they are.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{Binaries, Cluster, Outcome, command, run, small_experiment};

use crate::{NOT_ALLOWED, USAGE, assert_done, assert_refused};

/// An account of the box without a name, and `tandem` as it uses it.
struct Account {
    uid: u32,
    home: PathBuf,
    tandem: PathBuf,
    socket: PathBuf,
}

impl Account {
    fn new(cluster: &Cluster, tandem: &Path, uid: u32) -> Result<Self> {
        let home = cluster.folder().join(uid.to_string());
        fs::create_dir(&home)?;
        chown(&home, Some(uid), Some(uid)).context("this test must be run by root")?;
        Ok(Self { uid, home, tandem: tandem.to_owned(), socket: cluster.folder().join("tandem.sock") })
    }

    fn tandem(&self, args: &[&str]) -> Outcome {
        let [uid, gid] = ["--reuid", "--regid"].map(|option| format!("{option}={}", self.uid));
        let mut tandem = command(Path::new("setpriv"));
        tandem.args([&uid, &gid, "--clear-groups", "--"]).arg(&self.tandem).args(args);
        tandem.env("HOME", &self.home).env("XDG_CONFIG_HOME", self.home.join("settings"));
        run(tandem.env("TANDEM_SOCKET", &self.socket).current_dir(&self.home), "")
    }

    /// Submits, and returns the experiment's id.
    fn submit(&self, toml: &str) -> Result<String> {
        let file = self.home.join("experiment.toml");
        fs::write(&file, toml)?;
        let submitted = self.tandem(&["--json", "submit", "experiment.toml"]);
        assert_done(&submitted);
        let answer: Value = serde_json::from_str(&submitted.stdout)?;
        Ok(answer["experiment_id"].as_str().context("no experiment_id")?.to_owned())
    }

    /// State and owner of every job, by the experiment's id.
    fn jobs(&self) -> Result<Vec<(String, String, String)>> {
        let listed = self.tandem(&["--json", "list"]);
        assert_done(&listed);
        let answer: Value = serde_json::from_str(&listed.stdout)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let jobs = answer["jobs"].as_array().context("no jobs")?;
        Ok(jobs.iter().map(|job| (text(&job["experiment_id"]), text(&job["owner"]), text(&job["state"]))).collect())
    }
}

#[test]
#[ignore = "needs root, to be two other accounts: make rehearse"]
fn two_accounts_of_the_box_see_both_and_cancel_only_their_own() -> Result<()> {
    let cluster = Cluster::start(1)?;
    cluster.wait_datasets();
    // The clone, and what is built in it, may be below a folder that only its owner may enter.
    let tandem = cluster.folder().join("tandem");
    fs::copy(Binaries::beside_this_program()?.tandem, &tandem)?;
    let [one, two] = [41_001, 41_002].map(|uid| Account::new(&cluster, &tandem, uid));
    let (one, two) = (one?, two?);
    let who = one.tandem(&["whoami"]);
    assert!(who.stdout.contains("login:41001") && who.stdout.contains("submitter"), "{who:#?}");

    // Of one name, and not the same: equal jobs would be one, wanted by both.
    let experiment = small_experiment("mine", 1, 500);
    let ones = one.submit(&experiment)?;
    let twos = two.submit(&experiment.replace("seed = 7", "seed = 8"))?;
    for account in [&one, &two] {
        let jobs = account.jobs()?;
        let owners = [(&ones, "login:41001"), (&twos, "login:41002")];
        for (id, owner) in owners {
            let is_of = |job: &&(String, String, String)| job.0 == *id && job.1 == owner;
            assert_eq!(jobs.iter().filter(is_of).count(), 2, "{owner} in what {} sees: {jobs:#?}", account.uid);
        }
        for id in [&ones, &twos] {
            assert_done(&account.tandem(&["show", id]));
        }
    }

    for of_one in [ones.as_str(), "login:41001/mine"] {
        assert_refused(&two.tandem(&["cancel", of_one]), NOT_ALLOWED, &["is login:41001's, not yours"]);
    }
    assert_done(&two.tandem(&["cancel", "mine"]));
    for (id, _, state) in one.jobs()? {
        assert_eq!(state == "cancelled", id == twos, "{id} is {state}");
    }
    assert_done(&cluster.tandem(&["cancel", &ones], ""));

    let add = two.tandem(&["user", "add", "eve", "--role", "admin", "--login", "41002"]);
    assert_refused(&add, NOT_ALLOWED, &["SetPerson needs the role admin", "login:41002 has the role submitter"]);
    let token = two.tandem(&["token", "new", "laptop"]);
    assert_refused(&token, USAGE, &["needs no token there", "tandem user add NAME --role ROLE --login 41002"]);
    let worker = two.tandem(&["token", "new", "gpu", "--role", "worker"]);
    assert_refused(&worker, NOT_ALLOWED, &["needs the role admin"]);
    assert_refused(&two.tandem(&["audit"]), NOT_ALLOWED, &["needs the role admin"]);
    Ok(())
}

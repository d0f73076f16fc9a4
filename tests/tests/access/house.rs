//! A house that other machines can reach, and people who come to it from elsewhere.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tandem_harness::{
    Binaries, Outcome, Process, Program, command, command_line, descendants, run, until, write_image_folder,
};
use tempfile::TempDir;

use crate::{MINUTE, assert_done};

/// All that `tandem up` runs when it listens beyond loopback, and so with TLS. (`Cluster` of the harness stays on loopback.)
pub(crate) struct House {
    // Dropped first: what it runs writes into the folders.
    up: Process,
    pub(crate) binaries: Binaries,
    home: TempDir,
    /// What people have on machines of their own: settings, and files with tokens.
    people: TempDir,
    /// All that its commands printed.
    said: Mutex<String>,
}

impl House {
    /// Returns when its one worker has told its data sets.
    pub(crate) fn open() -> Result<Self> {
        let binaries = Binaries::beside_this_program()?;
        // Started by root, Postgres runs as another account, which must be able to enter the home.
        let home = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir()?;
        write_image_folder(&home.path().join("data"))?;
        let up = Program::new("tandem up", &binaries.tandem, &home.path().join("up.log"))
            .args(["up", "--listen", "0.0.0.0:0", "--devices", "cpu", "--workers", "1", "--dir"])
            .arg(home.path())
            .start()?;
        let house = Self { up, binaries, home, people: tempfile::tempdir()?, said: Mutex::default() };
        until("the worker has told its data sets", MINUTE, || {
            let status: Value = serde_json::from_str(&house.admin(&["--json", "status"]).stdout).ok()?;
            status["workers"][0]["datasets"].is_array().then_some(())
        });
        Ok(house)
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file or folder of somebody elsewhere.
    pub(crate) fn of_people(&self, name: &str) -> PathBuf {
        self.people.path().join(name)
    }

    /// Where it listens for other machines, as seen from this one.
    pub(crate) fn address(&self) -> Result<String> {
        let address = self.announced("address")?;
        let (_, port) = address.rsplit_once(':').context("no port")?;
        ensure!(address.starts_with("https://"), "there is no TLS: {address}");
        Ok(format!("https://127.0.0.1:{port}"))
    }

    pub(crate) fn fingerprint(&self) -> Result<String> {
        self.announced("fingerprint")
    }

    fn announced(&self, what: &str) -> Result<String> {
        let announced: Value = serde_json::from_slice(&fs::read(self.home().join("server.json"))?)?;
        Ok(announced[what].as_str().with_context(|| format!("no {what}: {announced}"))?.to_owned())
    }

    /// A command of who started the house: its admin, by the socket.
    pub(crate) fn admin(&self, args: &[&str]) -> Outcome {
        self.noted(command(&self.binaries.tandem).env("TANDEM_HOME", self.home()).args(args), "")
    }

    /// A command from a machine where the settings are in the folder `who`.
    pub(crate) fn elsewhere(&self, who: &str, args: &[&str], stdin: &str) -> Outcome {
        let folder = self.of_people(who);
        let mut tandem = command(&self.binaries.tandem);
        self.noted(tandem.env("HOME", &folder).env("XDG_CONFIG_HOME", &folder).args(args), stdin)
    }

    /// Runs a command, and keeps what it prints for [`said`](Self::said).
    pub(crate) fn noted(&self, command: &mut Command, stdin: &str) -> Outcome {
        let outcome = run(command, stdin);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend([&outcome.stdout, &outcome.stderr].map(String::as_str));
        outcome
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a token made by the admin, in a file of somebody elsewhere; `more` are options of `tandem token new`.
    pub(crate) fn new_token(&self, name: &str, more: &[&str]) -> Result<PathBuf> {
        let file = self.of_people(name).with_extension("token");
        let made = self.admin(&[&["token", "new", name, "--out", text(&file)?], more].concat());
        assert_done(&made);
        Ok(file)
    }

    /// Makes a person, and has it join from the folder of its name.
    pub(crate) fn add_person(&self, name: &str, role: &str) -> Result<PathBuf> {
        assert_done(&self.admin(&["user", "add", name, "--role", role]));
        let file = self.new_token(name, &["--user", name])?;
        let token = fs::read_to_string(&file)?;
        assert_done(&self.elsewhere(name, &["join", &self.address()?, &self.fingerprint()?], &token));
        Ok(file)
    }

    /// Its processes, `tandem up` itself among them.
    pub(crate) fn processes(&self) -> Vec<i32> {
        [vec![self.up.pid()], descendants(self.up.pid())].concat()
    }

    /// Waits until a rank trains, and returns its process.
    pub(crate) fn wait_rank(&self, experiment: &str) -> i32 {
        until("a rank trains", MINUTE, || {
            let shown: Value = serde_json::from_str(&self.admin(&["--json", "show", experiment]).stdout).ok()?;
            shown["jobs"][0]["progress"]["step"].as_u64().filter(|step| *step > 0)?;
            self.processes().into_iter().find(|pid| command_line(*pid).contains("tandem-worker rank"))
        })
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

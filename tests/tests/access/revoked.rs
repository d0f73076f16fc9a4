//! A token that leaked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{Binaries, Cluster, Process, Program, small_experiment, until};

use crate::{MINUTE, NOT_ALLOWED, assert_done};

/// Makes a token of ann's; its id and its file.
fn new_token(cluster: &Cluster, name: &str) -> Result<(String, PathBuf)> {
    let file = cluster.folder().join(name).with_extension("token");
    let path = file.to_str().context("a path that is no text")?;
    let made = cluster.json(&["token", "new", name, "--user", "ann", "--out", path])?;
    Ok((made["token"]["id"].as_str().context("no id")?.to_owned(), file))
}

/// Returns when it has shown the jobs for the first time.
fn watch(cluster: &Cluster, token: &Path, experiment: &str) -> Result<(Process, PathBuf)> {
    let up: Value = serde_json::from_slice(&fs::read(cluster.folder().join("up.json"))?)?;
    let log = token.with_extension("log");
    let process = Program::new("tandem watch", &Binaries::beside_this_program()?.tandem, &log)
        .args(["--json", "--server", up["server"].as_str().context("no server")?, "--token-file"])
        .arg(token)
        .args(["watch", experiment])
        // Settings of whoever runs the tests are not ann's.
        .env("XDG_CONFIG_HOME", cluster.folder().join("settings"))
        .start()?;
    until("the watch shows the jobs", MINUTE, || fs::read_to_string(&log).ok()?.contains("encoder").then_some(()));
    Ok((process, log))
}

/// That it takes less than a second is asserted by the server's own test.
#[test]
fn a_watch_ends_when_its_token_is_revoked_and_another_goes_on() -> Result<()> {
    let cluster = Cluster::start(1)?;
    cluster.wait_datasets();
    let experiment = cluster.submit(&small_experiment("watched", 1, 500))?;
    assert_done(&cluster.tandem(&["user", "add", "ann", "--role", "reader"], ""));
    let ((leaked_id, leaked), (_, kept)) = (new_token(&cluster, "leaked")?, new_token(&cluster, "kept")?);
    let (mut ends, log) = watch(&cluster, &leaked, &experiment)?;
    let (goes_on, other_log) = watch(&cluster, &kept, &experiment)?;

    assert_done(&cluster.tandem(&["token", "revoke", &leaked_id], ""));
    let status = ends.wait(MINUTE)?;
    let said = fs::read_to_string(&log)?;
    assert_eq!(status.code(), Some(NOT_ALLOWED), "{said}");
    let reason = format!("the token {leaked_id} was revoked");
    assert!(said.contains(&reason), "{said}");

    let lines = || fs::read_to_string(&other_log).map(|log| log.lines().count());
    let before = lines()?;
    until("the other watch goes on", MINUTE, || (lines().ok()? > before).then_some(()));
    assert!(goes_on.handle().is_some(), "{}", fs::read_to_string(&other_log)?);
    Ok(())
}

//! Who reaches the port and was not let in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{keep_without_token, small_experiment, until};

use crate::{
    CONFIG, MINUTE, NOT_ALLOWED, USAGE, assert_done, assert_refused,
    house::{House, text},
};

const WORK: &str = "secret-work";

/// Every command that asks a coordinator, but `submit`.
const COMMANDS: [&[&str]; 20] = [
    &["whoami"],
    &["list"],
    &["status"],
    &["show", WORK],
    &["show", "no-such-work"],
    &["watch", WORK],
    &["logs", WORK],
    &["logs", "--follow", WORK],
    &["results"],
    &["results", WORK, "--best", "linear_accuracy"],
    &["fetch", WORK],
    &["cancel", WORK],
    &["cancel", "no-such-work"],
    &["data", "list"],
    &["release", "cpu-0"],
    &["user", "list"],
    &["user", "add", "eve", "--role", "admin"],
    &["token", "list"],
    &["token", "new", "more"],
    &["audit"],
];

#[test]
fn a_stranger_learns_nothing_but_tls() -> Result<()> {
    let house = House::open()?;
    let experiment = house.of_people("experiment.toml");
    fs::write(&experiment, small_experiment(WORK, 1, 500))?;
    assert_done(&house.admin(&["submit", text(&experiment)?]));
    house.add_person("ann", "submitter")?;
    let listed = house.elsewhere("ann", &["list"], "");
    assert!(listed.code == 0 && listed.stdout.contains(WORK), "who was let in sees it: {listed:#?}");
    nothing_is_sent_to_another(&house)?;
    every_command_is_refused(&house, &experiment)
}

/// With a token that is no good, because the house writes down every such token that it is sent.
fn nothing_is_sent_to_another(house: &House) -> Result<()> {
    let (token, id) = revoked_token(house, "unsent")?;
    let (token, address, fingerprint) = (text(&token)?, house.address()?, house.fingerprint()?);
    let stranger = |args: &[&str]| house.elsewhere("newcomer", &[&["--token-file", token], args].concat(), "");
    let other = format!("{:0>64}", 1);
    let words = [fingerprint.as_str(), &other, "is not who you were told", "Nothing was sent"];
    assert_refused(&stranger(&["join", &address, &other]), NOT_ALLOWED, &words);
    assert_refused(&stranger(&["join", &address]), USAGE, &["no fingerprint was given"]);
    assert_refused(&stranger(&["--server", &address, "list"]), CONFIG, &["nobody is trusted at", "tandem join"]);
    let refusals = || -> Result<usize> {
        let audit: Value = serde_json::from_str(&house.admin(&["--json", "audit"]).stdout)?;
        let entries = audit["entries"].as_array().context("no entries")?;
        Ok(entries.iter().filter(|entry| entry["outcome"].to_string().contains(&format!("{id} was revoked"))).count())
    };
    // Refusals are written down in their order: were there more, they would stand there when this one does.
    assert_refused(&stranger(&["join", &address, &fingerprint]), NOT_ALLOWED, &[&format!("{id} was revoked")]);
    let refusals = until("what was sent is in the audit", MINUTE, || refusals().ok().filter(|count| *count > 0));
    assert_eq!(refusals, 1);

    let plain = address.replace("https://", "http://");
    let told = house.elsewhere("newcomer", &["--server", &plain, "list"], "");
    assert_refused(&told, USAGE, &["this port speaks TLS: use https:// in place of http://"]);
    Ok(())
}

fn every_command_is_refused(house: &House, experiment: &Path) -> Result<()> {
    let (revoked, id) = revoked_token(house, "revoked")?;
    let worker = house.new_token("some-worker", &["--role", "worker"])?;
    trust_certificate(house, "stranger", &worker)?;
    let submit = ["submit", text(experiment)?];
    for command in COMMANDS.into_iter().chain([&submit[..]]) {
        let ask = |more: &[&str]| house.elsewhere("stranger", &[&["--context", "box"], more, command].concat(), "");
        // The same words whether there is such work or not.
        assert_refused(&ask(&[]), NOT_ALLOWED, &[": this call needs a token: "]);
        let revoked = ask(&["--token-file", text(&revoked)?]);
        assert_refused(&revoked, NOT_ALLOWED, &[&format!(": the token {id} was revoked; ")]);
        // It is good, but for something else.
        assert_refused(&ask(&["--token-file", text(&worker)?]), NOT_ALLOWED, &["has the role worker"]);
    }
    Ok(())
}

/// Its file and its id.
fn revoked_token(house: &House, name: &str) -> Result<(PathBuf, String)> {
    let file = house.new_token(name, &["--user", "ann"])?;
    let token = fs::read_to_string(&file)?;
    let id = token.get(5..13).context("a token that is too short")?;
    assert_done(&house.admin(&["token", "revoke", id]));
    Ok((file, id.to_owned()))
}

/// A machine that trusts the house's certificate, which everybody is shown, and has no token: the context `box`.
fn trust_certificate(house: &House, who: &str, any_token: &Path) -> Result<()> {
    let file = house.of_people("any.join");
    let (address, fingerprint) = (house.address()?, house.fingerprint()?);
    let join = ["join", &address, &fingerprint, "--token-file", text(any_token)?, "--out", text(&file)?];
    assert_done(&house.elsewhere(who, &join, ""));
    keep_without_token(&file, &house.of_people(who), "box")
}

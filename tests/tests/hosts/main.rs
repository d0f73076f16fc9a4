//! Four hosts on one network: what a coordinator, a worker and a person do who share no more than cables.

mod network;
mod site;

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::{keep_without_token, small_experiment, until};

use crate::site::{MINUTE, Site, text};

/// Exit codes of `tandem --help`.
const USAGE: i32 = 2;
const NOT_ALLOWED: i32 = 77;
const CONFIG: i32 = 78;

fn submit(site: &Site, toml: &str) -> Result<String> {
    let file = site.path("laptop/experiment.toml");
    fs::write(&file, toml)?;
    let answer = site.json("laptop", &["submit", text(&file)?])?;
    Ok(answer["experiment_id"].as_str().context("no experiment_id")?.to_owned())
}

/// The encoder's job, with its attempts and checkpoints.
fn encoder(site: &Site, experiment: &str) -> Result<Value> {
    let shown = site.json("laptop", &["show", experiment])?;
    let jobs = shown["jobs"].as_array().context("no jobs")?;
    let job = jobs.iter().find(|job| job["name"] == "encoder").context("no such job")?;
    site.json("laptop", &["show", job["id"].as_str().context("no id")?])
}

#[test]
#[ignore = "needs root, for hosts as network namespaces, and iproute2: make rehearse"]
fn a_laptop_and_a_worker_join_from_afar_and_a_cut_cable_costs_one_attempt() -> Result<()> {
    let site = Site::open()?;
    site.join_laptop()?;
    let mut worker = site.start_worker()?;
    let experiment = submit(&site, &small_experiment("from-afar", 1, 24))?;
    let [watched, logged] = ["watch.log", "logs.log"].map(|name| site.path(name));
    let mut watch = site.follow("laptop", &["--json", "watch", "from-afar"], &watched)?;
    let mut logs = site.follow("laptop", &["logs", "-f", "from-afar"], &logged)?;
    until("a checkpoint", MINUTE, || encoder(&site, &experiment).ok()?["checkpoints"].as_array()?.first().map(drop));

    submit(&site, &small_experiment("unwanted", 1, 500))?;
    let cancelled = site.json("laptop", &["cancel", "unwanted"])?;
    assert_eq!(cancelled["jobs"].as_array().map(Vec::len), Some(2), "{cancelled:#}");

    site.network.pull_out("worker")?;
    until("the worker is given up", MINUTE, || {
        let state = encoder(&site, &experiment).ok()?["attempts"][0]["state"].as_str()?.to_owned();
        assert_ne!(state, "succeeded", "the job was over before the cable was cut");
        (state == "lost").then_some(())
    });
    site.network.plug_in("worker")?;

    let (watched, logged) = (|| fs::read_to_string(&watched), || fs::read_to_string(&logged));
    assert_eq!(watch.wait(4 * MINUTE)?.code(), Some(0), "{}", watched()?);
    assert_eq!(logs.wait(MINUTE)?.code(), Some(0), "{}", logged()?);
    let states: Vec<Value> = watched()?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let first = |state: &str| states.iter().position(|snapshot| snapshot["jobs"][0]["state"] == state);
    assert!(first("running") < first("succeeded") && first("running").is_some(), "{}", watched()?);
    assert!(logged()?.contains("OPENMP DISPLAY ENVIRONMENT"), "{}", logged()?);
    let attempts = encoder(&site, &experiment)?["attempts"].as_array().map(Vec::len);
    assert_eq!(attempts, Some(2), "the cable costs one attempt, and no more");

    let out = site.path("laptop/weights");
    site.done("laptop", &["fetch", "from-afar", "--out", text(&out)?], "")?;
    assert!(fs::read_dir(out.join("encoder"))?.count() > 0);
    assert_eq!(worker.stop()?.code(), Some(0));
    Ok(())
}

#[test]
#[ignore = "needs root, for hosts as network namespaces, and iproute2: make rehearse"]
fn a_stranger_on_the_network_gets_nothing() -> Result<()> {
    let site = Site::open()?;
    let (server, token) = (site.announced("server")?, site.path("any.token"));
    let plain = server.replace("https://", "http://");
    let wrong = format!("{:0>64}", 1);
    site.done("coordinator", &["token", "new", "any", "--role", "worker", "--out", text(&token)?], "")?;
    for (args, code, words) in [
        (&["--server", &server, "list"][..], CONFIG, "nobody is trusted"),
        (&["--server", &plain, "list"], USAGE, "this port speaks TLS"),
        (&["join", &server, &wrong, "--token-file", text(&token)?], NOT_ALLOWED, "Nothing was sent"),
    ] {
        let refused = site.tandem("stranger", args, "");
        assert!(refused.code == code && refused.stderr.contains(words) && refused.stdout.is_empty(), "{refused:#?}");
    }

    // What everybody may have: the certificate. And still no token.
    let join = site.path("any.join");
    let line = ["join", &server, &site.announced("fingerprint")?, "--token-file", text(&token)?, "--out", text(&join)?];
    site.done("stranger", &line, "")?;
    keep_without_token(&join, &site.path("stranger"), "box")?;
    for command in ["list", "status", "results", "audit", "whoami"] {
        let refused = site.tandem("stranger", &["--context", "box", command], "");
        assert!(refused.code == NOT_ALLOWED && refused.stdout.is_empty(), "{refused:#?}");
        assert!(refused.stderr.contains("this call needs a token"), "{refused:#?}");
    }

    // The database is for its own host.
    let database = site.announced("database")?;
    let port = database.rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')).context("no port")?.0;
    assert!(site.reaches("coordinator", "127.0.0.1", port), "{database}");
    let coordinator = site.network.address("coordinator");
    assert!(site.reaches("stranger", &coordinator, "7077") && !site.reaches("stranger", &coordinator, port));
    Ok(())
}

//! Workers that cannot have jobs are told so, and get none: without the store, or without the images.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use tandem_harness::{
    Binaries, Coordinator, Outcome, Program, command, run, small_experiment, until, write_image_folder,
};

const MINUTE: Duration = Duration::from_secs(60);

fn tandem(coordinator: &Coordinator, args: &[&str]) -> Result<Outcome> {
    let tandem = Binaries::beside_this_program()?.tandem;
    Ok(run(command(&tandem).args(["--server", &coordinator.server()]).args(args), ""))
}

fn wait_status(coordinator: &Coordinator, words: &[&str]) {
    let mut last = String::new();
    until(&format!("status says {words:?}"), MINUTE, || {
        last = tandem(coordinator, &["status"]).ok()?.stdout;
        words.iter().all(|word| last.contains(word)).then_some(())
    });
}

/// In a mount namespace of its own, as a host on which `path` is another folder.
fn elsewhere(path: &str, program: Program) -> Program {
    let mount = format!("mount -t tmpfs none '{path}' && exec \"$0\" \"$@\"");
    program.through("unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
}

#[test]
#[ignore = "needs mount namespaces without root, which some machines forbid: make rehearse"]
fn a_worker_that_does_not_see_the_store_is_told_so_and_gets_nothing() -> Result<()> {
    let binaries = Binaries::beside_this_program()?;
    let coordinator = Coordinator::start(&binaries)?;
    let folder = coordinator.folder();
    let (data, store) = (folder.join("data"), folder.join("store"));
    write_image_folder(&data)?;
    let log = folder.join("blind.log");
    let token = coordinator.worker_token("blind")?;
    let blind = binaries.worker("blind", &log, &coordinator.address, &token, &data, &folder.join("blind"));
    let _blind = elsewhere(&store.to_string_lossy(), blind).start()?;
    wait_status(&coordinator, &["unfit", "blind gets no jobs: it does not see the store", ".tandem-store"]);
    until("the worker is told so", MINUTE, || {
        fs::read_to_string(&log).ok()?.contains("this worker gets no jobs: it does not see the store").then_some(())
    });

    let file = folder.join("experiment.toml");
    fs::write(&file, small_experiment("here", 1, 1))?;
    let submitted = tandem(&coordinator, &["submit", &file.to_string_lossy()])?;
    assert_eq!(submitted.code, 0, "{submitted:#?}");
    let waits = || tandem(&coordinator, &["list"]).ok()?.stdout.contains("1 unfit").then_some(());
    until("the job waits and says why", MINUTE, waits);
    // A worker that sees it takes the job.
    let _seeing = coordinator.start_worker("seeing", &data)?;
    until("the job succeeds", 2 * MINUTE, || {
        let state: String = coordinator.database.value("SELECT min(state::text) FROM jobs").ok()?;
        (state == "succeeded").then_some(())
    });
    let workers: String = coordinator
        .database
        .value("SELECT string_agg(DISTINCT w.name, ',') FROM leases l JOIN workers w ON w.id = l.worker_id")
        .context("who ran it")?;
    assert_eq!(workers, "seeing");
    Ok(())
}

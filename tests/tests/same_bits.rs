//! Promise 2: the same spec gives the same weights on 1 or 2 workers, and after a stop or a kill in the middle.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_harness::{Cluster, small_experiment, until};

const MINUTES: Duration = Duration::from_secs(180);

#[test]
fn weights_are_the_same_bits_on_one_worker_on_two_and_after_faults() -> anyhow::Result<()> {
    let cluster = Cluster::start(2)?;

    let alone = cluster.submit(&small_experiment("alone", 1, 12))?;
    cluster.wait_succeeded(&alone, MINUTES);
    let expected = cluster.encoder_sha256(&alone)?;

    let pair = cluster.submit(&small_experiment("pair", 2, 12))?;
    cluster.wait_succeeded(&pair, MINUTES);
    assert_eq!(cluster.encoder_sha256(&pair)?, expected, "two workers must give the bits of one");

    // SIGTERM to a worker: both ranks finish the step, rank 0 checkpoints, `up` starts the worker again, and the job goes on.
    let stopped = cluster.submit(&small_experiment("stopped", 2, 12))?;
    cluster.wait_checkpoint(&stopped);
    let worker = cluster.processes(&["tandem-worker", " run "])[0];
    kill(Pid::from_raw(worker), Signal::SIGTERM)?;
    cluster.wait_succeeded(&stopped, MINUTES);
    let job = cluster.job(&stopped, "encoder")?;
    assert_eq!(job["attempts"][0]["state"], "preempted", "{job:#}");
    assert!(job["attempts"][1]["first_step"].as_u64() > Some(0), "{job:#}");
    assert_eq!(
        cluster.encoder_sha256(&stopped)?,
        expected,
        "a stopped and resumed run must give the bits of an undisturbed one"
    );

    // SIGKILL to one rank: the attempt is lost within 10 s, and the job goes on from its checkpoint.
    let killed = cluster.submit(&small_experiment("killed", 2, 12))?;
    cluster.wait_checkpoint(&killed);
    let rank = cluster.processes(&["tandem-worker", "rank"])[0];
    kill(Pid::from_raw(rank), Signal::SIGKILL)?;
    until("the attempt is lost", Duration::from_secs(10), || {
        (cluster.job(&killed, "encoder").ok()?["attempts"][0]["state"] == "lost").then_some(())
    });
    cluster.wait_succeeded(&killed, MINUTES);
    let job = cluster.job(&killed, "encoder")?;
    assert!(job["attempts"][0]["cause"].as_str().is_some_and(|cause| cause.contains("signal 9")), "{job:#}");
    assert!(job["attempts"][1]["first_step"].as_u64() > Some(0), "{job:#}");
    assert_eq!(
        cluster.encoder_sha256(&killed)?,
        expected,
        "a killed and resumed run must give the bits of an undisturbed one"
    );
    Ok(())
}

//! `tandem up` leaves nothing behind, however it ends, and the data stay.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_harness::{Cluster, ProcessHandle, small_experiment, until};

fn alive(pids: &[i32]) -> Vec<i32> {
    pids.iter().copied().filter(|pid| ProcessHandle::of(*pid).is_some()).collect()
}

#[test]
fn ctrl_c_and_kill_leave_no_process_behind() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(2)?;
    let experiment = cluster.submit(&small_experiment("running", 2, 500))?;
    let ranks = until("two ranks train", Duration::from_secs(60), || {
        let ranks = cluster.processes(&["tandem-worker", "rank"]);
        (ranks.len() == 2 && cluster.job(&experiment, "encoder").ok()?["progress"]["step"].as_u64()? > 0)
            .then_some(ranks)
    });
    let all = cluster.processes(&[]);
    assert!(all.len() > ranks.len());
    assert_eq!(cluster.stop(), 0, "{}", cluster.log());
    until("everything has ended", Duration::from_secs(20), || alive(&all).is_empty().then_some(()));

    let cluster = Cluster::start(2)?;
    let all = cluster.processes(&[]);
    kill(Pid::from_raw(cluster.up_pid()), Signal::SIGKILL)?;
    until("everything has ended with `up`", Duration::from_secs(20), || alive(&all).is_empty().then_some(()));
    Ok(())
}

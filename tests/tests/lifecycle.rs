//! `tandem up` leaves nothing behind, however it ends, and the data stay.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_tests::{House, small_experiment, until};

fn alive(pids: &[i32]) -> Vec<i32> {
    pids.iter()
        .copied()
        .filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")))
        .collect()
}

#[test]
fn ctrl_c_and_kill_leave_no_process_behind() -> anyhow::Result<()> {
    let mut house = House::start(2)?;
    let experiment = house.submit(&small_experiment("running", 2, 500))?;
    let ranks = until("two ranks train", Duration::from_secs(60), || {
        let ranks = house.processes(&["tandem-worker", "rank"]);
        (ranks.len() == 2 && house.job(&experiment, "encoder").ok()?["progress"]["step"].as_u64()? > 0).then_some(ranks)
    });
    let all = house.processes(&[]);
    assert!(all.len() > ranks.len());
    assert_eq!(house.stop(), 0, "{}", house.log());
    until("everything has ended", Duration::from_secs(20), || alive(&all).is_empty().then_some(()));

    let house = House::start(2)?;
    let all = house.processes(&[]);
    kill(Pid::from_raw(house.up_pid()), Signal::SIGKILL)?;
    until("everything has ended with `up`", Duration::from_secs(20), || alive(&all).is_empty().then_some(()));
    Ok(())
}

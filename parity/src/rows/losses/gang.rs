//! Ranks as threads, each with its own store connection and Gloo group.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tandem_collective::{ProcessGroup, RendezvousStore};
use tandem_learn::shards::Step;

const HOST: &str = "127.0.0.1";
const TIMEOUT: Duration = Duration::from_secs(60);

/// The step that the ranks, one closure each, take together. Fails if their gradients differ.
pub(super) fn together<F>(ranks: Vec<F>) -> Result<Step>
where
    F: FnOnce(&ProcessGroup) -> Result<Step> + Send,
{
    let (store, count) = (RendezvousStore::listen(HOST, TIMEOUT)?, ranks.len() as u32);
    let port = store.port();
    let run = |rank: u32, work: F| {
        if count == 1 {
            return work(&ProcessGroup::alone());
        }
        let store = RendezvousStore::connect(HOST, port, TIMEOUT)?;
        work(&ProcessGroup::gloo(&store, "parity", rank, count, HOST, TIMEOUT)?)
    };
    let steps = std::thread::scope(|scope| {
        let run = &run;
        let ranks: Vec<_> = (0..).zip(ranks).map(|(rank, work)| scope.spawn(move || run(rank, work))).collect();
        ranks.into_iter().map(|rank| rank.join().map_err(|_| anyhow!("a rank panicked"))?).collect::<Result<Vec<_>>>()
    })?;
    let mut steps = steps.into_iter();
    let first = steps.next().context("there is a first rank")?;
    for other in steps {
        ensure!(other.gradient.equal(&first.gradient), "two ranks of one step hold different gradients");
    }
    Ok(first)
}

//! Fills in the facts of jobs that are older than the table of facts, and the rows of their curves, while the house works.
//!
//! Whoever leads goes through all jobs by id, some at a time in a transaction of its own, and notes how far it is: who leads next
//! goes on from there. A job that is submitted or ends meanwhile has its row by that. Each coordinator that comes to lead looks
//! through all once more, as a coordinator of an earlier version may have worked beside it.

use std::time::Duration;

use tandem_domain::{facts::Facts, timing::timing};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        Conn, Store,
        facts::{self, Chain},
        leader, within,
    },
};

/// Jobs of one transaction, and jobs that are looked at for them.
const AT_A_TIME: i64 = 200;
/// Between two of them: people and workers go first.
const REST: Duration = Duration::from_millis(20);
/// How soon it is looked again whether this coordinator leads.
const AGAIN: Duration = Duration::from_secs(5);

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another coordinator leads.
    NotLeading,
    /// Jobs up to this one have facts.
    Through(Uuid),
    Whole,
}

/// Fills in what is missing, once, while this coordinator leads.
pub(crate) async fn fill(store: Store, holder: Uuid, closing: CancellationToken) {
    let mut after = None;
    while !closing.is_cancelled() {
        let rest = match within(timing().report_limit(), step(&store, holder, after)).await {
            Ok(Step::Whole) => return,
            Ok(Step::Through(job)) => {
                after = Some(job);
                REST
            }
            Ok(Step::NotLeading) => {
                after = None;
                AGAIN
            }
            Err(error) => {
                tracing::warn!(%error, "older jobs cannot be asked for yet; tried again");
                AGAIN
            }
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = sleep(rest) => {}
        }
    }
}

/// Fills in the next jobs behind `after`: `None` is where it was left, or the first if all was filled in once.
pub(crate) async fn step(store: &Store, holder: Uuid, after: Option<Uuid>) -> Result<Step> {
    let mut tx = store.reports.begin().await?;
    if !leader::is_held_by(&mut tx, holder).await? {
        return Ok(Step::NotLeading);
    }
    let filled = facts::filled(&mut tx).await?;
    let first = if filled.is_whole { Uuid::nil() } else { filled.through };
    let after = after.unwrap_or(first);
    let window = facts::window(&mut tx, after, AT_A_TIME).await?;
    if !window.without.is_empty() {
        put_of(&mut tx, &window.without).await?;
        facts::fill_curves(&mut tx, &window.without).await?;
    }
    let next = if window.is_partly_locked { Some(after) } else { window.last };
    facts::set_filled(&mut tx, next).await?;
    tx.commit().await?;
    Ok(next.map_or(Step::Whole, Step::Through))
}

/// Stores the facts of jobs by what is stored of them.
pub(crate) async fn put_of(conn: &mut Conn, jobs: &[Uuid]) -> Result<()> {
    let chains = facts::chains(conn, jobs).await?;
    let rows: Vec<(Uuid, Facts)> = chains.iter().map(|chain| (chain.job, facts_of(chain))).collect();
    Ok(facts::put(conn, &rows).await?)
}

fn facts_of(chain: &Chain) -> Facts {
    if let (None, [own, inputs @ ..]) = (&chain.unread, chain.specs.as_slice()) {
        return tandem_domain::facts::facts(own, &inputs.iter().collect::<Vec<_>>());
    }
    // A spec of another version: what every version has.
    let text =
        |key: &str| chain.unread.as_ref().and_then(|spec| spec.get(key)?.as_str()).unwrap_or_default().to_owned();
    let seed = chain.unread.as_ref().and_then(|spec| spec.get("seed")?.as_i64()).unwrap_or_default();
    let (figure, figure_of) = match chain.stage.as_str() {
        "contrastive" => ("knn_accuracy", "knn_accuracy"),
        "attack" => ("robust_accuracy", ""),
        _ => ("accuracy", "test_accuracy"),
    };
    Facts { dataset: text("dataset"), seed, figure, figure_of: figure_of.to_owned(), ..Facts::default() }
}

//! Makes and signs the receipts that are due. Whoever has the key does: a coordinator that is killed leaves them to the next.

use std::{sync::Arc, time::Duration};

use tandem_domain::{
    receipt::{Receipt, Statement, compare},
    timing::{SCHEDULE_POLL, timing},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::key::HouseKey;
use crate::{
    error::{Error, Result},
    notifier::Notifier,
    store::{
        Conn, Store,
        events::{self, About},
        notify::{Topic, notify},
        receipts::{self, Signed},
        retry, within,
    },
};

/// Receipts of one transaction.
const AT_A_TIME: i64 = 20;
/// Jobs that end together are looked for together.
const GATHER: Duration = Duration::from_millis(50);

pub(crate) struct Receipts {
    pub(crate) store: Store,
    /// `None`: others sign.
    pub(crate) key: Option<HouseKey>,
}

impl Receipts {
    /// Signs until `closing`.
    pub(crate) async fn run(&self, notifier: &Arc<Notifier>, closing: &CancellationToken) {
        let mut changes = notifier.subscribe();
        let mut failed = false;
        let work = async {
            loop {
                let outcome = self.make_due().await;
                match &outcome {
                    Err(error) if !failed => tracing::warn!(%error, "receipts cannot be signed; tried again"),
                    Ok(()) if failed => tracing::info!("receipts are signed again"),
                    _ => {}
                }
                failed = outcome.is_err();
                tokio::select! {
                    changed = changes.changed(), if !failed => match changed {
                        Ok(()) => tokio::time::sleep(GATHER).await,
                        Err(_) => return,
                    },
                    () = tokio::time::sleep(SCHEDULE_POLL) => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = closing.cancelled() => {}
        }
    }

    /// Signs all that can be signed now.
    pub(crate) async fn make_due(&self) -> Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        // What starts from a job has to wait for that one's receipt: a round for each level of the graph.
        while within(timing().report_limit(), retry(|| self.make_some(key))).await? > 0 {}
        Ok(())
    }

    async fn make_some(&self, key: &HouseKey) -> Result<usize> {
        let mut tx = self.store.reports.begin().await?;
        let due = receipts::take_due(&mut tx, AT_A_TIME).await?;
        for &job in &due {
            make(&mut tx, key, job).await?;
        }
        tx.commit().await?;
        Ok(due.len())
    }
}

async fn make(tx: &mut Conn, key: &HouseKey, job: Uuid) -> Result<()> {
    let facts = receipts::facts(tx, job).await?;
    let facts = facts.ok_or_else(|| Error::Bug(format!("a receipt is due for job {job}, which has not succeeded")))?;
    let statement = Statement::new(facts.clone()).to_json();
    let statement = statement.map_err(|error| Error::Bug(format!("cannot write the receipt of {job}: {error}")))?;
    let signature = key.sign(&statement)?;
    let signed = Signed { signature, key_id: key.public.id(), statement };
    if !receipts::put(tx, job, &signed).await? {
        tracing::error!(%job, "a receipt was due for a job that has one, which stays");
        return Ok(());
    }
    match facts.job.reproduces.as_deref().and_then(|of| Uuid::parse_str(of).ok()) {
        Some(of) => say_whether_it_holds(tx, of, job, &facts).await,
        None => Ok(()),
    }
}

/// Of a job that ran another one anew: whether that gave the same, as an event of both.
async fn say_whether_it_holds(tx: &mut Conn, of: Uuid, job: Uuid, again: &Receipt) -> Result<()> {
    let Some(first) = receipts::get(tx, of).await? else { return Ok(()) };
    let first = Statement::parse(first.statement.as_bytes());
    let first = first.map_err(|error| Error::Damaged(format!("the receipt of job {of}: {error}")))?.predicate;
    let found = compare(&first, again);
    let kind = match (found.holds, again.job.replayed) {
        (true, Some(_)) => "verified anew",
        (true, None) => "reproduced",
        (false, _) => "not reproduced",
    };
    let steps = again.job.replayed.map_or_else(String::new, |steps| {
        format!("steps {} to {} were replayed by job {job}: ", steps.from_step, steps.until_step)
    });
    let mut message =
        format!("{steps}{} ({} of {} equal)", found.verdict(), found.equal, found.equal + found.unequal.len());
    found.unequal.first().into_iter().for_each(|first| message.push_str(&format!("; first: {first}")));
    for about in [of, job] {
        events::append(tx, About::job(about), kind, &message).await?;
    }
    Ok(notify(tx, &[Topic::Watch]).await?)
}

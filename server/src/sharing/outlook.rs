//! When who waits will start: the line played through by `domain::place::forecast`, as all who ask see it for a moment.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tandem_domain::{
    place::{self, Expected, Habit, Policy, QueuedJob, forecast, in_line, soon_free},
    policy::HousePolicy,
};
use tokio::{sync::Mutex, task::spawn_blocking};
use uuid::Uuid;

use super::{policy, shares::Shares};
use crate::{
    error::{Error, Result},
    estimate,
    snapshot::{self, Snapshot},
    store::{Conn, Store, measures, used},
};

/// An outlook is good for so long: it costs more than what else a request does.
const FRESH: Duration = Duration::from_secs(2);
/// What estimates are wrong by while too few jobs have shown it.
const WRONG_BY: f64 = 0.5;
const SHOWN_BY: i64 = 8;

/// What is expected of the line at a moment.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) at: DateTime<Utc>,
    /// In the order in which they start.
    pub(crate) jobs: Vec<QueuedJob>,
    pub(crate) expected: BTreeMap<Uuid, Expected>,
    pub(crate) shares: Shares,
    pub(crate) house: HousePolicy,
    pub(crate) version: i64,
    /// The standard deviation of ln(taken / estimated), and the number of jobs that show it.
    pub(crate) wrong_by: (f64, i64),
}

/// An outlook, and when it was made.
type Looked = (Instant, Arc<Line>);

/// Keeps the newest outlook of a coordinator.
#[derive(Clone)]
pub(crate) struct Outlooks {
    store: Store,
    policy: Policy,
    newest: Arc<Mutex<Option<Looked>>>,
}

impl Outlooks {
    pub(crate) fn new(store: Store, policy: Policy) -> Self {
        Self { store, policy, newest: Arc::default() }
    }

    /// The line as it is now, or was a moment ago. Those who ask at the same time share the answer.
    pub(crate) async fn now(&self) -> Result<Arc<Line>> {
        let mut newest = self.newest.lock().await;
        if let Some((_, line)) = newest.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(line.clone());
        }
        let line = Arc::new(self.look().await?);
        *newest = Some((Instant::now(), line.clone()));
        Ok(line)
    }

    async fn look(&self) -> Result<Line> {
        let seen = async {
            let mut tx = self.store.reader().await?;
            let (version, house) = policy::current(&mut tx).await?;
            let seen = snapshot::read(&mut tx, &self.policy, &house, true).await?;
            let wrong_by = measures::wrong_by(&mut tx).await?;
            let habits = habits(&mut tx, seen.now).await?;
            Ok::<_, Error>((version, house, seen, wrong_by, habits))
        };
        let (version, house, seen, (spread, shown_by), habits) = seen.await?;
        let wrong_by = if shown_by >= SHOWN_BY { (spread, shown_by) } else { (WRONG_BY, shown_by) };
        let task = spawn_blocking(move || {
            let Snapshot { now, queue, running, fleet, shares, policy, .. } = seen;
            let fleet = soon_free(now, &fleet, &running, &[]);
            let expected = forecast(&place::Outlook {
                now,
                queue: &queue,
                running: &running,
                fleet: &fleet,
                policy: &policy,
                used: &shares.counted,
                shares: &house.fair_share,
                habits: &habits,
                wrong_by: wrong_by.0,
            });
            let jobs = in_line(&queue).into_iter().cloned().collect();
            Line { at: now, jobs, expected, shares, house, version, wrong_by }
        });
        task.await.map_err(|error| Error::Bug(format!("cannot look ahead: {error}")))
    }
}

/// How people have submitted in the last two weeks.
async fn habits(conn: &mut Conn, now: DateTime<Utc>) -> Result<BTreeMap<String, Habit>> {
    let mut submits: BTreeMap<String, Vec<(DateTime<Utc>, f64)>> = BTreeMap::new();
    let speed = estimate::usual_speed(conn).await?;
    for (who, at, gflop) in used::submits(conn).await? {
        submits.entry(who).or_default().push((at, gflop / speed));
    }
    Ok(submits.into_iter().filter_map(|(who, submits)| Some((who, Habit::of(now, &submits)?))).collect())
}

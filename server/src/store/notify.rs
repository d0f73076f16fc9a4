//! NOTIFY: tells every coordinator on this database that something changed.
//!
//! A notification is a hint and may be lost; everybody polls as well. It is sent when the transaction that made the
//! change commits, so nobody looks too early.

use sqlx::postgres::PgListener;

use super::{Conn, DbResult, Store, rows::Statement};

const CHANNEL: &str = "tandem";

/// What changed, and so who should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The scheduler: a job is queued, a worker is free.
    Schedule,
    /// The dispatchers: an attempt was assigned, has a rendezvous, or is to stop.
    Dispatch,
    /// Clients that watch jobs.
    Watch,
    /// Whoever reads artifacts back: an attempt's ranks have succeeded.
    Verify,
    /// Whoever knows people and tokens; sent by triggers.
    Access,
}

impl Topic {
    pub(crate) const ALL: [Self; 5] = [Self::Schedule, Self::Dispatch, Self::Watch, Self::Verify, Self::Access];

    const fn payload(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Dispatch => "dispatch",
            Self::Watch => "watch",
            Self::Verify => "verify",
            Self::Access => "access",
        }
    }
}

/// Notifies every coordinator when this transaction commits.
pub(crate) async fn notify(conn: &mut Conn, topics: &[Topic]) -> DbResult<()> {
    let payloads: Vec<String> = topics.iter().map(|topic| topic.payload().to_owned()).collect();
    sqlx::query!("SELECT pg_notify($1, payload) FROM UNNEST($2::text[]) AS payload", CHANNEL, &payloads)
        .run_any(conn)
        .await
}

/// Receives the notifications of all coordinators, this one's too.
pub(crate) struct Listener(PgListener);

impl Listener {
    pub(crate) async fn open(store: &Store) -> DbResult<Self> {
        let mut listener = PgListener::connect_with(&store.owner).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next notification; `None` if some may have been missed because the connection was lost and opened again.
    pub(crate) async fn next(&mut self) -> DbResult<Option<Topic>> {
        loop {
            let Some(notification) = self.0.try_recv().await? else { return Ok(None) };
            // A newer version may have topics that this one does not know.
            if let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.payload() == notification.payload()) {
                return Ok(Some(topic));
            }
        }
    }
}

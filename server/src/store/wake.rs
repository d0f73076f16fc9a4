//! NOTIFY: tells every coordinator on this database that there is something to look at.
//!
//! A notification is a hint and may be lost; everybody polls as well. It is sent with the transaction that made the
//! change, so nobody looks too early.

use sqlx::postgres::PgListener;

use super::{Conn, Store, Stored};

const CHANNEL: &str = "tandem";

/// Who should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The scheduler: a job is queued, a worker is free.
    Schedule,
    /// Whoever holds sessions of workers: an attempt was assigned, met, stopped.
    Dispatch,
    /// Whoever watches jobs.
    Watch,
}

impl Wake {
    const ALL: [Self; 3] = [Self::Schedule, Self::Dispatch, Self::Watch];

    const fn payload(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Dispatch => "dispatch",
            Self::Watch => "watch",
        }
    }
}

/// Wakes them when this transaction commits.
pub(crate) async fn wake(conn: &mut Conn, whom: &[Wake]) -> Stored<()> {
    let payloads: Vec<String> = whom.iter().map(|wake| wake.payload().to_owned()).collect();
    sqlx::query!("SELECT pg_notify($1, payload) FROM UNNEST($2::text[]) AS payload", CHANNEL, &payloads)
        .execute(conn)
        .await?;
    Ok(())
}

/// What others tell.
pub(crate) struct Listener(PgListener);

impl Listener {
    pub(crate) async fn open(store: &Store) -> Stored<Self> {
        let mut listener = PgListener::connect_with(&store.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// The next hint; `None` if some may have been missed, as the connection was lost and is there again.
    pub(crate) async fn next(&mut self) -> Stored<Option<Wake>> {
        loop {
            let Some(notification) = self.0.try_recv().await? else { return Ok(None) };
            // Another version may say more than we know.
            if let Some(wake) = Wake::ALL.into_iter().find(|wake| wake.payload() == notification.payload()) {
                return Ok(Some(wake));
            }
        }
    }
}

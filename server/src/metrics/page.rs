//! The page itself. However many ask, the database is read once a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::prometheus_text::encode, registry::Registry};
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

use super::{gauges, open::Sight, process};
use crate::{
    meters,
    store::{
        Store,
        gauges::{Stored, read},
    },
};

/// What was read is shown again for so long.
const FRESH: Duration = Duration::from_secs(1);
/// Less than the ten seconds that Prometheus waits.
const READ_LIMIT: Duration = Duration::from_secs(4);
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prints the metrics of this coordinator.
pub(crate) struct Metrics {
    store: Store,
    /// As the scheduler holds the leader row by.
    holder: Uuid,
    sight: Sight,
    read: Mutex<Option<(Instant, Option<Arc<Stored>>)>>,
}

impl Metrics {
    pub(crate) fn new(store: Store, holder: Uuid, sight: Sight) -> Arc<Self> {
        Arc::new(Self { store, holder, sight, read: Mutex::new(None) })
    }

    /// The answer to who asks.
    pub(crate) async fn page(self: Arc<Self>) -> Response {
        match self.print().await {
            Ok(text) => ([(CONTENT_TYPE, PLAIN)], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "cannot print metrics");
                (StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be printed; the coordinator's log says why\n")
                    .into_response()
            }
        }
    }

    pub(crate) async fn print(&self) -> Result<String, std::fmt::Error> {
        let stored = self.stored().await;
        let mut registry = Registry::with_prefix("tandem");
        meters::register(&mut registry);
        gauges::register(&mut registry, stored.as_deref(), &self.sight.look());
        let mut of_process = Registry::default();
        process::register(&mut of_process);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        encode(&mut text, &of_process)?;
        Ok(text)
    }

    /// What is stored; `None` while the database does not say.
    async fn stored(&self) -> Option<Arc<Stored>> {
        let mut last = self.read.lock().await;
        if let Some((at, stored)) = &*last
            && at.elapsed() < FRESH
        {
            return stored.clone();
        }
        let reading = async {
            let mut conn = self.store.reader().await?;
            read(&mut conn, self.holder).await
        };
        let stored = match timeout(READ_LIMIT, reading).await {
            Ok(Ok(stored)) => Some(Arc::new(stored)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "metrics without what is stored");
                None
            }
            Err(_) => None,
        };
        *last = Some((Instant::now(), stored.clone()));
        stored
    }
}

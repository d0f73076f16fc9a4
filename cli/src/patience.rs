//! Patience with coordinators that go away while a stream is read: jobs go on meanwhile.

use std::time::{Duration, Instant};

use anyhow::Error;
use tonic::Status;

use crate::{
    client::Client,
    refusal::{Refusal, is_away},
};

/// How long to try to reconnect.
const AWAY_AT_MOST: Duration = Duration::from_secs(60);
const ROUND_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Without it, nobody has answered yet: then each coordinator is tried once only.
    opened_at: Option<Instant>,
    away_since: Option<Instant>,
    refusal: Refusal,
    tries: usize,
}

impl Patience {
    /// With coordinators one of which has just answered.
    pub(crate) fn proven() -> Self {
        Self { opened_at: Some(Instant::now()), ..Self::default() }
    }

    /// A stream has begun.
    pub(crate) fn opened(&mut self) {
        self.opened_at = Some(Instant::now());
    }

    /// Something was received. Returns whether nothing could be for a while.
    pub(crate) fn received(&mut self) -> bool {
        self.tries = 0;
        self.away_since.take().is_some()
    }

    pub(crate) fn was_opened(&self) -> bool {
        self.opened_at.is_some()
    }

    /// The stream broke, or could not be opened: returns when another try makes sense, by the next coordinator. `tried`
    /// completes "cannot ...".
    ///
    /// # Errors
    /// When it makes none.
    pub(crate) async fn wait(&mut self, client: &Client, tried: &str, status: Status) -> Result<(), Error> {
        let was_open_for_long = self.opened_at.is_some_and(|at| at.elapsed() > AWAY_AT_MOST);
        if was_open_for_long && self.tries == 0 {
            // A quiet stream says nothing for hours.
            self.away_since = None;
        }
        let is_away = is_away(&status);
        self.refusal.add(client.server(), status);
        let since = *self.away_since.get_or_insert_with(Instant::now);
        self.tries += 1;
        let enough = match self.opened_at {
            Some(_) => since.elapsed() > AWAY_AT_MOST,
            None => self.tries >= client.server_count().max(2),
        };
        if !is_away || enough {
            return Err(client.error(&self.refusal, tried).await);
        }
        client.turn();
        if self.tries.is_multiple_of(client.server_count()) {
            tokio::time::sleep(ROUND_EVERY).await;
        }
        Ok(())
    }
}

//! Which tokens were used lately: `last_used` of tokens is stored now and then, and not with every call.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use tandem_domain::{access::token::TokenId, timing::timing};

use crate::store::{Store, tokens, within};

#[derive(Default)]
pub(super) struct Used(Mutex<HashSet<TokenId>>);

impl Used {
    pub(super) fn add(&self, id: TokenId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    pub(super) async fn store(&self, store: &Store) {
        let used: Vec<TokenId> = self.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        if used.is_empty() {
            return;
        }
        let stored = async { Ok(tokens::used(&mut *store.lane.conn().await?, &used).await?) };
        // It is for people who look; the next use is stored again.
        if let Err(error) = within(timing().statement_limit(), stored).await {
            tracing::debug!(%error, "cannot store which tokens were used");
        }
    }
}

//! `tandem-server audit-drop`: old months of the audit end, at their owner's wish alone.

use chrono::{Datelike, NaiveDate, Utc};
use sqlx::Connection;

use crate::{
    error::{Error, Result},
    store::{
        Store,
        audit::{self, Entry},
        runtime_role::drop_before,
    },
};

/// Drops the months before `first`, and says so in the audit. Returns how many.
///
/// # Errors
/// `Invalid` for a month that has not begun: what is added now would go.
pub(crate) async fn audit_drop(store: &Store, first: NaiveDate) -> Result<usize> {
    let today = Utc::now().date_naive();
    if (first.year(), first.month()) > (today.year(), today.month()) {
        return Err(Error::Invalid(format!("{} has not begun; the present month is kept", first.format("%Y-%m"))));
    }
    let mut conn = store.owner().await?;
    let mut tx = conn.begin().await?;
    let months = drop_before(&mut tx, first).await?;
    let entry = Entry {
        who: "tandem-server audit-drop".to_owned(),
        origin: "the database".to_owned(),
        what: "audit-drop".to_owned(),
        object: format!("{months} months before {}", first.format("%Y-%m")),
        outcome: "done".to_owned(),
        ..Entry::default()
    };
    audit::append(&mut tx, &[entry]).await?;
    tx.commit().await?;
    Ok(months)
}

//! Lists experiments.

use super::jobs::limited;
use crate::{
    error::Result,
    store::{
        Conn,
        summaries::{self, SummaryRow},
    },
};

/// What an experiment is looked at for, the most telling first. Of all of these more is better.
const FIGURES: [&str; 3] = ["test_accuracy", "validation_accuracy", "knn_accuracy"];

/// The newest first; of `owner` alone, unless that is empty.
pub(crate) async fn list(conn: &mut Conn, owner: &str, limit: u32) -> Result<Vec<SummaryRow>> {
    Ok(summaries::newest(conn, owner, &FIGURES.map(str::to_owned), limited(limit).into()).await?)
}

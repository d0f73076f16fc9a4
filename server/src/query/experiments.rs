//! Lists experiments.

use super::jobs::limited;
use crate::{
    error::Result,
    store::{
        Conn,
        summaries::{self, Chosen, SummaryRow},
    },
};

/// What an experiment is looked at for, the most telling first. Of all of these more is better.
const FIGURES: [&str; 3] = ["test_accuracy", "validation_accuracy", "knn_accuracy"];

/// The newest first.
pub(crate) async fn list(conn: &mut Conn, chosen: Chosen<'_>, limit: u32) -> Result<Vec<SummaryRow>> {
    Ok(summaries::newest(conn, chosen, &FIGURES.map(str::to_owned), limited(limit).into()).await?)
}

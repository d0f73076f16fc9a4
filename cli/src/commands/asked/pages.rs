//! Answers page by page: none is larger than one message may be.

use anyhow::Result;
use tandem_proto::v1::{AskRequest, AskResponse};

use crate::client::Client;

/// Rows of a page.
const PAGE: u32 = 5000;
/// Rows that are kept at once, for a file that says what its columns are before the first of them.
pub(super) const MOST: u32 = 1_000_000;

pub(super) async fn page(client: &Client, request: &AskRequest) -> Result<AskResponse> {
    client.ask("ask for results", async |on| on.results().ask(request.clone()).await).await
}

/// The first `most` rows behind the cursor of the question, as one answer.
pub(super) async fn all(client: &Client, question: AskRequest, most: u32) -> Result<AskResponse> {
    let mut answer = page(client, &AskRequest { limit: most.min(PAGE), ..question.clone() }).await?;
    loop {
        let left = most.saturating_sub(u32::try_from(answer.rows.len()).unwrap_or(u32::MAX));
        if left == 0 || answer.next_cursor.is_empty() {
            return Ok(answer);
        }
        let cursor = std::mem::take(&mut answer.next_cursor);
        let next = page(client, &AskRequest { limit: left.min(PAGE), cursor, ..question.clone() }).await?;
        answer.rows.extend(next.rows);
        answer.next_cursor = next.next_cursor;
    }
}

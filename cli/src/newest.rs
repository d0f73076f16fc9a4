//! What is meant where nobody is named: one's own newest experiment.

use anyhow::Result;
use tandem_proto::v1::ExperimentsRequest;

use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    printable::line,
    render::units::short_id,
};

/// `target`, or the id of the newest experiment of who asks, which is then named.
pub(crate) async fn or_newest(target: Option<String>, client: &Client, output: &Output) -> Result<String> {
    if let Some(target) = target {
        return Ok(target);
    }
    let request = ExperimentsRequest { limit: 1, mine: true, ..ExperimentsRequest::default() };
    let tried = "find your newest experiment";
    let answer = client.ask(tried, async |on| on.jobs().experiments(request.clone()).await).await?;
    let Some(newest) = answer.experiments.into_iter().next() else {
        let message = "you have submitted nothing here yet; name a job or an experiment: `tandem list --experiments` \
                       shows those of all";
        return Err(Failure::error(Exit::NotFound, message));
    };
    output.note(&format!("{} ({}), your newest", line(&newest.name), short_id(&newest.id, 8)));
    Ok(newest.id)
}

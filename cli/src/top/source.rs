//! What is asked of the coordinator, each within a few seconds and bounded in size: a screen holds no more.

use std::{future::Future, time::Duration};

use tandem_proto::v1::{
    CancelRequest, JobState, ListRequest, MetricsRequest, SetPriorityRequest, ShowRequest, StatusRequest,
};
use tokio::time::timeout;
use tonic::{Response, Status};

use super::state::{Detail, Named, News};
use crate::{
    client::Client,
    printable,
    refusal::{Refusal, is_away},
    render::shared,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const MOST_RUNNING: u32 = 1000;
/// Of those that wait, the first in line.
const MOST_WAITING: u32 = 200;
/// Points of a curve: more than a terminal has columns.
const MOST_POINTS: u32 = 600;

pub(crate) async fn news(client: &Client) -> Result<News, String> {
    let on = client.services();
    let list = |states: &[JobState], in_line, limit| {
        let states = states.iter().map(|state| (*state).into()).collect();
        let request = ListRequest { states, limit, in_line, ..ListRequest::default() };
        let mut jobs = on.jobs();
        async move { jobs.list(request).await }
    };
    let status = async { on.fleet().status(StatusRequest {}).await };
    let answers = async {
        tokio::try_join!(
            status,
            list(&[JobState::Running], false, MOST_RUNNING),
            list(&[JobState::Queued], true, MOST_WAITING)
        )
    };
    let (status, running, waiting) = asked(client, answers).await?;
    Ok(News { status: status.into_inner(), running: running.into_inner().jobs, waiting: waiting.into_inner().jobs })
}

/// A job with its events, and the curve of `metric`; of the loss before anybody knows which there are.
pub(crate) async fn detail(client: &Client, id: &str, metric: Option<&str>) -> Result<Detail, String> {
    let on = client.services();
    let metric = metric.unwrap_or("loss").to_owned();
    let metrics = MetricsRequest {
        target: id.to_owned(),
        names: vec![metric.clone()],
        points: MOST_POINTS,
        ..MetricsRequest::default()
    };
    let show = ShowRequest { target: id.to_owned() };
    let (mut jobs, mut results) = (on.jobs(), on.results());
    let answers = async { tokio::try_join!(jobs.show(show), results.metrics(metrics)) };
    let (shown, metrics) = asked(client, answers).await?;
    Ok(Detail { metric, shown: shown.into_inner(), series: metrics.into_inner().series.into_iter().next() })
}

/// Returns what to say.
pub(crate) async fn cancel(client: &Client, job: &Named) -> Result<String, String> {
    let request = CancelRequest { target: job.id.clone() };
    let mut jobs = client.services().jobs();
    let answer: Response<_> = asked(client, jobs.cancel(request)).await?;
    let answer = answer.into_inner();
    let lines = shared::lines(&answer.shared);
    Ok(match (answer.cancelled.is_empty(), lines.is_empty()) {
        (_, false) => lines.join("; "),
        (false, true) => format!("{} is cancelled", job.name),
        (true, true) => format!("{} had ended already", job.name),
    })
}

/// As [`cancel`].
pub(crate) async fn set_priority(client: &Client, job: &Named, priority: i32) -> Result<String, String> {
    let mut jobs = client.services().jobs();
    let request = SetPriorityRequest { target: job.id.clone(), priority };
    let answer: Response<_> = asked(client, jobs.set_priority(request)).await?;
    let answer = answer.into_inner();
    Ok(match answer.notes.first() {
        Some(note) => note.clone(),
        None => format!("{} has priority {priority}", job.name),
    })
}

/// An answer in time, or why there is none. The next call goes to the next coordinator if this one is away.
async fn asked<T>(client: &Client, answer: impl Future<Output = Result<T, Status>>) -> Result<T, String> {
    let late = || Status::deadline_exceeded(format!("no answer within {} s", ANSWER_WITHIN.as_secs()));
    let status = match timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| Err(late())) {
        Ok(answer) => return Ok(answer),
        Err(status) => status,
    };
    let is_away = is_away(&status);
    let mut refusal = Refusal::default();
    refusal.add(client.server(), status);
    let why = refusal.error("show the house").to_string();
    if is_away {
        client.turn();
    }
    Err(printable::line(&why).into_owned())
}

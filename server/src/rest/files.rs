//! `/results.parquet?where=..` and `/jobs/ID/curves.csv?name=loss`: tables as files, for programs that read them from a URL.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use form_urlencoded::parse;
use tandem_proto::{
    reflect,
    v1::{AskRequest, AskResponse, MetricsRequest, Series, results_server::Results as _},
};
use tandem_tables::{Format, Writer, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request as Call, Response as Answer, Status, metadata::MetadataMap};

use crate::{error::Error, problem::Problem, rpc::Api};

/// Rows of one file: they are in memory at once, as only all of them say what a column holds.
const ROWS_MAX: usize = 50_000;
/// Rows that are asked for at a time.
const PAGE: u32 = 5000;
/// Points of a curve that are asked for at a time.
const PART: u32 = 50_000;
/// The first, the smallest, the largest and the last point tell what a curve is like.
const TELLING: u32 = 4;
/// Where there are more rows, what to ask for them with.
const NEXT: HeaderName = HeaderName::from_static("tandem-next-cursor");

fn pairs(request: &Request) -> Vec<(String, String)> {
    parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// A call of the service as who was let in.
fn as_caller<T>(extensions: &Extensions, message: T) -> Call<T> {
    Call::from_parts(MetadataMap::new(), extensions.clone(), message)
}

fn of_path(path: &str) -> Result<Format, Problem> {
    Format::of(std::path::Path::new(path)).ok_or_else(|| Problem::nothing_at(path))
}

fn headers(format: Format, name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    let disposition = format!("attachment; filename=\"{name}.{}\"", format.ending());
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::try_from(disposition).unwrap_or(HeaderValue::from_static("attachment")),
    );
    headers
}

fn not_written(error: &tandem_tables::Error) -> Status {
    Status::internal(format!("the file cannot be written: {error}"))
}

/// All pages of an answer as one file.
pub(super) async fn results(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let format = of_path(request.uri().path())?;
    let pairs = pairs(&request);
    let question: AskRequest =
        reflect::request("/tandem.v1.Results/Ask", pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .map_err(|wrong| Problem::invalid(wrong.to_string()))?;
    let answer = all(&api, request.extensions(), question).await?;
    let mut headers = headers(format, "results");
    if let Ok(cursor) = HeaderValue::try_from(&answer.next_cursor)
        && !cursor.is_empty()
    {
        headers.insert(NEXT, cursor);
    }
    let written = tokio::task::spawn_blocking(move || {
        let table = wire::answers(&answer)?;
        tandem_tables::bytes(&table, format)
    });
    let written = written.await.map_err(|error| Status::internal(error.to_string()))?;
    Ok((headers, written.map_err(|error| not_written(&error))?).into_response())
}

async fn all(api: &Api, extensions: &Extensions, question: AskRequest) -> Result<AskResponse, Status> {
    let most = if question.limit == 0 { ROWS_MAX } else { (question.limit as usize).min(ROWS_MAX) };
    let page = async |cursor: String, left: usize| {
        let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        api.ask(as_caller(extensions, AskRequest { limit, cursor, ..question.clone() })).await.map(Answer::into_inner)
    };
    let mut answer = page(question.cursor.clone(), most).await?;
    while !answer.next_cursor.is_empty() && answer.rows.len() < most {
        let next = page(mem::take(&mut answer.next_cursor), most - answer.rows.len()).await?;
        answer.rows.extend(next.rows);
        answer.next_cursor = next.next_cursor;
    }
    Ok(answer)
}

/// What is asked of curves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    names: Vec<String>,
    points: Option<u32>,
}

impl Wanted {
    fn of(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "name" => wanted.names.push(value),
                "points" => match value.parse() {
                    Ok(points) if points >= TELLING => wanted.points = Some(points),
                    _ => return Err(Problem::invalid(format!("points: expected a number of {TELLING} or more"))),
                },
                _ => return Err(Problem::invalid(format!("there is no `{key}`; there are name, points"))),
            }
        }
        Ok(wanted)
    }
}

/// The points of curves, part by part.
pub(super) async fn curves(
    State(api): State<Api>,
    Path((id, file)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let format = match file.strip_prefix("curves.") {
        Some(_) => of_path(&file)?,
        None => return Err(Problem::nothing_at(request.uri().path())),
    };
    let wanted = Wanted::of(pairs(&request))?;
    let held = api.admission.stream().map_err(|error: Error| Problem::from(Status::from(error)))?;
    let extensions = request.into_parts().0.extensions;
    let source = Source { api: api.clone(), extensions, id };
    let thin = MetricsRequest { points: wanted.points.unwrap_or(TELLING), extremes: true, ..MetricsRequest::default() };
    let curves = source.ask(MetricsRequest { names: wanted.names.clone(), ..thin }).await?;
    if let Some(missing) = wanted.names.iter().find(|name| !curves.iter().any(|curve| curve.name == **name)) {
        return Err(Status::not_found(format!("`{}` has no curve `{missing}`", source.id)).into());
    }
    let (sender, receiver) = mpsc::channel(4);
    let closing = api.closing.clone();
    api.streams.spawn(async move {
        let _held = held;
        let send = source.send(curves, format, wanted.points.is_none(), &sender);
        tokio::select! {
            () = closing.cancelled() => {}
            () = sender.closed() => {}
            sent = send => if let Err(error) = sent {
                tracing::warn!(%error, "curves that are handed out are cut");
                // The file must not look as if it were whole.
                drop(sender.send(Err(io::Error::other(error.to_string()))).await);
            },
        }
    });
    Ok((headers(format, "curves"), Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

struct Source {
    api: Api,
    extensions: Extensions,
    id: String,
}

impl Source {
    async fn ask(&self, request: MetricsRequest) -> Result<Vec<Series>, Status> {
        let target = if request.target.is_empty() { self.id.clone() } else { request.target.clone() };
        let request = MetricsRequest { target, ..request };
        Ok(self.api.metrics(as_caller(&self.extensions, request)).await?.into_inner().series)
    }

    /// The table of these curves; of each all points, if it is not to be thinned.
    async fn send(
        &self,
        curves: Vec<Series>,
        format: Format,
        whole: bool,
        to: &mpsc::Sender<io::Result<Bytes>>,
    ) -> Result<(), Status> {
        let kept = Kept::default();
        let headings = wire::points(&[]).map_err(|error| not_written(&error))?.headings();
        let mut writer = Writer::new(kept.clone(), format, &headings).map_err(|error| not_written(&error))?;
        let mut write = |series: &[Series]| -> Result<(), Status> {
            let table = wire::points(series).map_err(|error| not_written(&error))?;
            writer.write(table).map_err(|error| not_written(&error))
        };
        for curve in curves {
            if !whole {
                write(&[curve])?;
                kept.send(to).await;
                continue;
            }
            let mut from = Some(0);
            while let Some(from_step) = from {
                let request = MetricsRequest {
                    target: curve.job_id.clone(),
                    names: vec![curve.name.clone()],
                    most: PART,
                    from_step,
                    ..MetricsRequest::default()
                };
                let mut part = self.ask(request).await?;
                for one in &mut part {
                    // As the experiment calls it.
                    one.job_name.clone_from(&curve.job_name);
                }
                write(&part)?;
                kept.send(to).await;
                let full = part.iter().filter(|one| one.steps.len() >= PART as usize);
                from = full.filter_map(|one| one.steps.last()).max().map(|step| step + 1);
            }
        }
        writer.finish().map_err(|error| not_written(&error))?;
        kept.send(to).await;
        Ok(())
    }
}

/// What a writer has written and nobody was sent yet.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    async fn send(&self, to: &mpsc::Sender<io::Result<Bytes>>) {
        let bytes = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !bytes.is_empty() {
            // Whoever waits no more is seen by the caller.
            drop(to.send(Ok(bytes.into())).await);
        }
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

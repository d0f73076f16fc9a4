//! Sends a parcel in one stream. What breaks off has brought in nothing, and is sent again from the beginning.

use std::{
    fs::File,
    io::Read,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use futures::stream;
use tandem_proto::{
    status::Code,
    v1::{ImportPoints, ImportRequest, ImportResponse, import_request::Message},
};
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};
use tonic::Status;

use super::read::Parcel;
use crate::{
    client::Client,
    exit::{Exit, Failure},
    gauge::{Gauge, Unit},
};

/// The longest that nothing goes on: the coordinator stores all of it in one transaction.
const SILENCE: Duration = Duration::from_secs(180);
const CHUNK_BYTES: usize = 512 * 1024;
/// Points of one message.
const POINTS: usize = 20_000;

/// What could not be read on this side, while the other waits for it.
type Unread = Arc<Mutex<Option<String>>>;

pub(super) async fn send(client: &Client, parcel: Parcel) -> Result<ImportResponse> {
    let tried = format!("bring in the results of {}", parcel.begin.file_name);
    let (parcel, unread) = (Arc::new(parcel), Unread::default());
    let answer = client.try_each_as_long_as_it_takes(async |on| {
        let sending = Arc::new(AtomicU64::new(0));
        let (sender, receiver) = mpsc::channel::<ImportRequest>(4);
        let (sent, failed, messages) = (parcel.clone(), unread.clone(), sending.clone());
        spawn_blocking(move || {
            if let Err(why) = send_parts(&sent, &sender, &messages) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            }
        });
        let requests = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let (mut results, mut before) = (on.results(), 0);
        let mut answer = std::pin::pin!(results.import(requests));
        loop {
            if let Ok(answer) = timeout(SILENCE, &mut answer).await {
                return answer;
            }
            let now = sending.load(Relaxed);
            if now == before {
                return Err(Status::unavailable(format!("nothing was taken and nothing answered within {SILENCE:?}")));
            }
            before = now;
        }
    });
    let answer = answer.await;
    if let Some(why) = unread.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(Failure::error(Exit::Damaged, format!("cannot {tried}: {why}; nothing was brought in")));
    }
    match answer {
        Ok(answer) => Ok(answer),
        Err(refusal) => Err(match refusal.code() {
            Some(Code::InvalidInput | Code::WrongState | Code::Unsupported) if !refusal.message().is_empty() => {
                Failure::error(
                    Exit::BadExperiment,
                    format!("cannot {tried}: {}; nothing was brought in", refusal.message()),
                )
            }
            _ => client.error(&refusal, &tried).await,
        }),
    }
}

/// Ends when all is sent, or nobody takes it any more.
fn send_parts(parcel: &Parcel, sender: &mpsc::Sender<ImportRequest>, messages: &AtomicU64) -> Result<(), String> {
    let send = |message| {
        messages.fetch_add(1, Relaxed);
        sender.blocking_send(ImportRequest { message: Some(message) }).is_ok()
    };
    let jobs = parcel.jobs.iter().map(|job| Message::Job(Box::new(job.clone())));
    for message in [Message::Begin(parcel.begin.clone())].into_iter().chain(jobs) {
        if !send(message) {
            return Ok(());
        }
    }
    for (job, curves) in (0..).zip(&parcel.curves) {
        for (metric, curve) in curves {
            let all: Vec<(u64, f64)> = curve.iter().map(|(step, value)| (*step, *value)).collect();
            for part in all.chunks(POINTS) {
                let (steps, values) = part.iter().copied().unzip();
                if !send(Message::Points(ImportPoints { job, metric: metric.clone(), steps, values })) {
                    return Ok(());
                }
            }
        }
    }
    let gauge = Gauge::new("sending files", Unit::Bytes, parcel.bytes());
    for (path, bytes) in &parcel.files {
        let unread = |why: String| format!("cannot read {}: {why}", path.display());
        let mut file = File::open(path).map_err(|error| unread(error.to_string()))?.take(*bytes);
        let mut left = *bytes;
        while left > 0 {
            let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))];
            file.read_exact(&mut chunk).map_err(|error| unread(error.to_string()))?;
            left -= chunk.len() as u64;
            gauge.add(chunk.len() as u64);
            if !send(Message::Chunk(chunk)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

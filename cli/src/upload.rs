//! Sends a packed data set, and goes on where it was interrupted: by the network, a coordinator that stops, or Ctrl-C.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use futures::stream;
use tandem_images::packed::Packing;
use tandem_proto::v1::{PutBegin, PutDone, PutRequest, put_request::Message, put_response};
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};
use tonic::{Code, Status};

use crate::{
    client::{Client, in_time},
    exit::{Exit, Failure},
    gauge::{Gauge, Unit},
    patience::Patience,
};

const CHUNK_BYTES: usize = 512 * 1024;
/// The longest silence: the coordinator lists a large data set meanwhile, from a disk that may be slow.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);

/// What could not be read on this side, while the other waits for it.
type Unread = Arc<Mutex<Option<String>>>;

/// Sends `packing`, unless it is there already.
pub(crate) async fn put(client: &Client, packing: Arc<Packing>, begin: &PutBegin) -> Result<PutDone> {
    let tried = format!("put `{}`", begin.name);
    let mut patience = Patience::default();
    let mut reached = None;
    loop {
        match send(client, &packing, begin, &mut patience, &mut reached).await? {
            Ok(done) => return Ok(done),
            Err(status) => patience.wait(client, &tried, status).await?,
        }
    }
}

/// One stream. The inner error: it broke, or was refused. `reached`: so many bytes have been said to be there, over all streams.
async fn send(
    client: &Client,
    packing: &Arc<Packing>,
    begin: &PutBegin,
    patience: &mut Patience,
    reached: &mut Option<u64>,
) -> Result<Result<PutDone, Status>> {
    let (sender, receiver) = mpsc::channel::<PutRequest>(4);
    let first = PutRequest { message: Some(Message::Begin(begin.clone())) };
    // There is room: it is the first.
    let _ = sender.try_send(first);
    let requests = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let mut answers = match in_time(client.services().data().put(requests)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Ok(Err(status)),
    };
    patience.opened();
    let unread = Unread::default();
    let mut sender = Some(sender);
    let mut gauge = Some(Gauge::new(&format!("sending {}", begin.name), Unit::Bytes, begin.bytes));
    let mut checks = false;
    loop {
        let answer = match timeout(ANSWER_WITHIN, answers.message()).await {
            Ok(Ok(Some(answer))) => answer,
            Ok(ended) => {
                if let Some(why) = unread.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    return Err(Failure::error(Exit::BadExperiment, why));
                }
                return Ok(Err(ended.err().unwrap_or_else(|| Status::unavailable("the answer ended before its end"))));
            }
            Err(_) => return Ok(Err(Status::new(Code::Unavailable, format!("no answer within {ANSWER_WITHIN:?}")))),
        };
        // Only what is new is a reason for more patience: a store that takes nothing says so each time.
        let arrived = match &answer.message {
            Some(put_response::Message::SendFrom(bytes) | put_response::Message::Arrived(bytes)) => Some(*bytes),
            _ => None,
        };
        if arrived > *reached {
            *reached = arrived;
            patience.received();
        }
        match answer.message {
            Some(put_response::Message::SendFrom(from)) => {
                gauge.iter().for_each(|gauge| gauge.set(from));
                if let Some(sender) = sender.take() {
                    let (packing, unread) = (packing.clone(), unread.clone());
                    spawn_blocking(move || send_parts(&packing, from, &sender, &unread));
                }
            }
            Some(put_response::Message::Arrived(bytes)) => gauge.iter().for_each(|gauge| gauge.set(bytes)),
            Some(put_response::Message::Checked(bytes)) => {
                if !checks {
                    checks = true;
                    // One goes before the other comes, or a line of it stays.
                    drop(gauge.take());
                    gauge =
                        Some(Gauge::new(&format!("checking what arrived of {}", begin.name), Unit::Bytes, begin.bytes));
                }
                gauge.iter().for_each(|gauge| gauge.set(bytes));
            }
            Some(put_response::Message::Done(done)) => return Ok(Ok(done)),
            None => {}
        }
    }
}

/// Ends when all is sent, or nobody takes it any more.
fn send_parts(packing: &Packing, from: u64, sender: &mpsc::Sender<PutRequest>, unread: &Unread) {
    for part in packing.parts(from) {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                *unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                return;
            }
        };
        for chunk in part.chunks(CHUNK_BYTES) {
            let message = PutRequest { message: Some(Message::Chunk(chunk.to_vec())) };
            if sender.blocking_send(message).is_err() {
                return;
            }
        }
    }
}

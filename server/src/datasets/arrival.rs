//! Receives a data set, a piece at a time, and stores it when all of it is there and right.

use std::time::{Duration, Instant};

use tandem_domain::{access::identity::Person, datasets::Wanted};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{Stream, StreamExt};
use tokio_util::{bytes::Bytes, sync::CancellationToken};

use super::{
    Files,
    claim::{self, Claimed},
    part::{self, Part},
};
use crate::{
    error::{Error, Result},
    store::{
        Store,
        audit::{self, Entry},
        datasets::{self, DatasetRow},
        retry, signed,
    },
    store_folder::StoreFolder,
};

/// The longest wait for the next piece.
const PIECE_WITHIN: Duration = Duration::from_secs(60);
/// The least of such a span: whoever sends less holds a place that others wait for.
const LEAST_BYTES: u64 = 64 * 1024;
/// How often it is said, and noted, how much has arrived.
const SAY_EVERY: Duration = Duration::from_millis(500);
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// What whoever sends is told.
#[derive(Debug)]
pub(crate) enum Told {
    SendFrom(u64),
    Arrived(u64),
    Checked(u64),
    Done { row: DatasetRow, present: bool },
}

/// What a data set arrives at.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) folder: StoreFolder,
    /// Bytes that each person may keep.
    pub(crate) limit: u64,
    pub(crate) closing: CancellationToken,
}

type Teller = mpsc::Sender<Result<Told>>;

/// Receives `wanted` from `pieces`; `told` gets every answer, an error last.
pub(crate) async fn receive(
    house: House,
    by: Person,
    wanted: Wanted,
    pieces: impl Stream<Item = Result<Bytes>> + Unpin,
    told: Teller,
) {
    let outcome = arrive(&house, &by, &wanted, pieces, &told).await;
    if let Err(error) = &outcome {
        tracing::info!(by = by.name, name = wanted.name, "a data set has not arrived: {error}");
    }
    // Who has gone is told nothing.
    let _ = told.send(outcome).await;
}

async fn arrive(
    house: &House,
    by: &Person,
    wanted: &Wanted,
    pieces: impl Stream<Item = Result<Bytes>> + Unpin,
    told: &Teller,
) -> Result<Told> {
    if let Claimed::There(row) = claim::take(&house.store, &house.folder, by, wanted, house.limit).await? {
        return Ok(Told::Done { row, present: true });
    }
    let mut part = Part::open(&house.folder, &wanted.name, &wanted.sha256, wanted.bytes).await?;
    // Another call may have ended in between, and let go of it.
    if let Some(row) = stored(house, wanted).await? {
        part.let_go().await?;
        return Ok(Told::Done { row, present: true });
    }
    let _ = told.send(Ok(Told::SendFrom(part.length))).await;
    let taken = take_pieces(house, wanted, pieces, &mut part, told).await;
    if taken.is_err() && !note(house, wanted, &part).await? {
        return Err(gone(wanted));
    }
    taken?;
    let found = part.sha256(|checked| _ = told.try_send(Ok(Told::Checked(checked)))).await?;
    if found != wanted.sha256 {
        let why = format!("what arrived has the SHA-256 {found}, expected {}; put it again", wanted.sha256);
        return Err(forget(house, wanted, &part, why).await);
    }
    let listing = match part.list(&wanted.name).await? {
        Ok(listing) => listing,
        Err(error) => return Err(forget(house, wanted, &part, error.to_string()).await),
    };
    let counts = [listing.classes.len(), listing.train.len(), listing.test.len()];
    part.publish().await?;
    let done = finish(house, by, wanted, counts.map(|count| signed(count as u64))).await?;
    tracing::info!(by = by.name, name = wanted.name, bytes = wanted.bytes, "a data set was put");
    Ok(done)
}

/// Its row, if it is stored.
async fn stored(house: &House, wanted: &Wanted) -> Result<Option<DatasetRow>> {
    let known = datasets::list(&mut *house.store.reader().await?, Some(&wanted.name)).await?.pop();
    Ok(known.filter(|known| known.sha256 == wanted.sha256 && known.stored_at.is_some()))
}

async fn take_pieces(
    house: &House,
    wanted: &Wanted,
    mut pieces: impl Stream<Item = Result<Bytes>> + Unpin,
    part: &mut Part,
    told: &Teller,
) -> Result<()> {
    let (mut said, mut noted) = (Instant::now(), None::<Instant>);
    let (mut span_began, mut span_from) = (Instant::now(), part.length);
    while part.length < wanted.bytes {
        if span_began.elapsed() >= PIECE_WITHIN {
            let (count, span) = (part.length - span_from, PIECE_WITHIN.as_secs());
            if count < LEAST_BYTES {
                let why = format!("{count} bytes arrived within {span} s; the same call goes on with what is there");
                return Err(Error::StoreAway(why));
            }
            (span_began, span_from) = (Instant::now(), part.length);
        }
        let piece = tokio::select! {
            piece = timeout(PIECE_WITHIN, pieces.next()) => piece,
            () = house.closing.cancelled() => return Err(Error::ShuttingDown),
        };
        let piece = match piece {
            Ok(Some(piece)) => piece?,
            Ok(None) => {
                let (length, bytes) = (part.length, wanted.bytes);
                let why =
                    format!("the data set ended after {length} of {bytes} bytes; the same call goes on with them");
                return Err(Error::Invalid(why));
            }
            Err(_) => {
                let why = format!("nothing arrived within {PIECE_WITHIN:?}; the same call goes on with what is there");
                return Err(Error::StoreAway(why));
            }
        };
        if piece.is_empty() {
            return Err(Error::Invalid("a piece without bytes arrived; nothing was to be said by that".to_owned()));
        }
        if piece.len() as u64 > wanted.bytes - part.length {
            let why = format!("more bytes arrived than the {} that were said", wanted.bytes);
            return Err(Error::Invalid(why));
        }
        part.append(piece).await?;
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let _ = told.try_send(Ok(Told::Arrived(part.length)));
        }
        if noted.is_none_or(|at| at.elapsed() >= NOTE_EVERY) {
            noted = Some(Instant::now());
            if !note(house, wanted, part).await? {
                return Err(gone(wanted));
            }
        }
    }
    Ok(())
}

/// Notes how much has arrived. `false` if it is not to arrive any more.
async fn note(house: &House, wanted: &Wanted, part: &Part) -> Result<bool> {
    let mut conn = house.store.reader().await?;
    Ok(datasets::touch(&mut conn, &wanted.name, &wanted.sha256, signed(part.length)).await?)
}

async fn finish(house: &House, by: &Person, wanted: &Wanted, counts: [i64; 3]) -> Result<Told> {
    let Wanted { name, sha256, .. } = wanted;
    let row = retry(|| async {
        let mut tx = house.store.begin().await?;
        if !datasets::finish(&mut tx, name, sha256, counts).await? {
            return Ok(None);
        }
        audit::append(&mut tx, &[Entry::done(by, "Data/Put", format!("folder:{name}"), &by.name)]).await?;
        let row = datasets::list(&mut tx, Some(name)).await?.pop();
        tx.commit().await?;
        Ok(row)
    })
    .await?;
    match row {
        Some(row) => Ok(Told::Done { row, present: false }),
        None => {
            if let Some(row) = stored(house, wanted).await? {
                return Ok(Told::Done { row, present: true });
            }
            part::remove(&house.folder, &Files::of(&house.folder.root, name, sha256)).await?;
            Err(gone(wanted))
        }
    }
}

/// Nothing stays of what cannot be used: the error, for whoever sent it.
async fn forget(house: &House, wanted: &Wanted, part: &Part, why: String) -> Error {
    let forgotten = async {
        part.drop_all().await?;
        let mut conn = house.store.reader().await?;
        Ok::<_, Error>(datasets::remove(&mut conn, &wanted.name, &wanted.sha256).await?)
    };
    if let Err(error) = forgotten.await {
        tracing::warn!(%error, name = wanted.name, "a data set that cannot be used is forgotten later");
    }
    Error::Invalid(why)
}

fn gone(wanted: &Wanted) -> Error {
    Error::Refused(format!("`folder:{}` was removed, or begun anew, while it arrived", wanted.name))
}

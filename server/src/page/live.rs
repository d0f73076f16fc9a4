//! Draws pages anew while somebody looks, once for all who see the same, and tells what has changed.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use chrono::Utc;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    block::{Block, changes, digest},
    place::Place,
    view::{Rights, draw},
};
use crate::{error::Result, notifier::Notifier, sharing::outlook::Outlooks, store::Store};

/// Least time between two drawings of a page.
const PAUSE: Duration = Duration::from_secs(2);
/// Without a change that is told, it is looked again after so much more: heartbeats tell nobody.
const POLL: Duration = Duration::from_secs(1);
/// All pages that are drawn together take one part in so many of the time of one processor.
const SHARE: u32 = 8;

/// Who sees the same page as others.
pub(super) type Key = (Place, Rights);

/// A state of a page, and how it came from the one before.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) digest: String,
    /// For whoever has the version before, ...
    pub(super) changes: Bytes,
    /// ... and for everybody else.
    pub(super) whole: Bytes,
}

/// `None` before the first time.
type Newest = Option<Arc<Version>>;

/// One that draws for each page that somebody looks at.
#[derive(Clone)]
pub(crate) struct Lives {
    store: Store,
    outlooks: Outlooks,
    notifier: Arc<Notifier>,
    tasks: TaskTracker,
    closing: CancellationToken,
    drawing: Arc<Mutex<HashMap<Key, watch::Sender<Newest>>>>,
}

impl Lives {
    pub(crate) fn new(
        store: Store,
        outlooks: Outlooks,
        notifier: Arc<Notifier>,
        tasks: TaskTracker,
        closing: CancellationToken,
    ) -> Self {
        Self { store, outlooks, notifier, tasks, closing, drawing: Arc::default() }
    }

    /// The versions of a page, from now on.
    pub(super) fn join(&self, key: Key) -> watch::Receiver<Newest> {
        let mut drawing = self.lock();
        // One that has just ended is not joined.
        if let Some(sender) = drawing.get(&key).filter(|sender| sender.receiver_count() > 0) {
            return sender.subscribe();
        }
        let (sender, newest) = watch::channel(None);
        drawing.insert(key.clone(), sender.clone());
        self.tasks.spawn(self.clone().draw(key, sender));
        newest
    }

    async fn draw(self, key: Key, sender: watch::Sender<Newest>) {
        let mut blocks: Vec<Block> = Vec::new();
        let mut told = self.notifier.subscribe();
        loop {
            told.borrow_and_update();
            let began = Instant::now();
            match self.read(&key).await {
                Ok(now) => {
                    if now != blocks {
                        sender
                            .send_modify(|newest| *newest = Some(Arc::new(version(newest.as_deref(), &blocks, &now))));
                        blocks = now;
                    }
                }
                // Those who look keep what they have.
                Err(error) => tracing::debug!(%error, "a page cannot be drawn anew"),
            }
            let took = began.elapsed();
            let pages = u32::try_from(self.lock().len()).unwrap_or(u32::MAX);
            let pause = PAUSE.max(took.saturating_mul(SHARE).saturating_mul(pages)).min(Duration::from_secs(30));
            tokio::select! {
                () = async { sleep(pause).await; let _ = timeout(POLL, told.changed()).await; } => {}
                () = sender.closed() => {}
                () = self.closing.cancelled() => return,
            }
            // Nobody can join while these are locked.
            let mut drawing = self.lock();
            if sender.receiver_count() == 0 {
                if drawing.get(&key).is_some_and(|listed| listed.same_channel(&sender)) {
                    drawing.remove(&key);
                }
                return;
            }
        }
    }

    async fn read(&self, (place, rights): &Key) -> Result<Vec<Block>> {
        let ahead = if place.looks_ahead() { Some(self.outlooks.now().await?) } else { None };
        let mut conn = self.store.reader().await?;
        Ok(draw(&mut conn, place, rights, ahead.as_deref(), Utc::now()).await?.blocks)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Sender<Newest>>> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(before: Option<&Version>, blocks: &[Block], now: &[Block]) -> Version {
    let digest = digest(now);
    let whole: Vec<String> = now.iter().map(Block::html).collect();
    Version {
        number: before.map_or(0, |before| before.number + 1),
        changes: events(&changes(blocks, now), &digest),
        whole: events(&whole, &digest),
        digest,
    }
}

/// As server-sent events. The last one has the id that the browser sends when it asks again.
fn events(pieces: &[String], digest: &str) -> Bytes {
    let mut text = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        if index + 1 == pieces.len() {
            let _ = writeln!(text, "id: {digest}");
        }
        text.push_str("event: piece\n");
        // `\r` ends a line, too; a text has none.
        for line in piece.split(['\n', '\r']) {
            let _ = writeln!(text, "data: {line}");
        }
        text.push('\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_one_event_whatever_stands_in_it() {
        let sent = events(&["<p>a\nevent: b\r\n\ndata: c</p>".to_owned(), "<p>".to_owned()], "0f");
        let text = std::str::from_utf8(&sent).unwrap();
        assert_eq!(text.matches("\n\n").count(), 2, "{text}");
        assert!(text.ends_with("id: 0f\nevent: piece\ndata: <p>\n\n"), "{text}");
        assert!(text.lines().filter(|line| line.starts_with("event: ")).all(|line| line == "event: piece"), "{text}");
    }
}

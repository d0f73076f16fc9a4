//! What a call of a person must pass: it is one of not too many, its texts can be asked for, and it ends in time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tandem_domain::timing::CALL_LIMIT;
use tandem_proto::status::Code;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::Status;

use crate::error::Error;

/// Calls under way. They share ten connections to the database: more would only wait.
const CALLS: usize = 128;
/// Open streams that watch, follow logs or fetch.
const STREAMS: usize = 512;
/// Data sets that arrive at a time: each writes to the disk of the store.
const ARRIVALS: usize = 16;
/// Of these, of one person.
const ARRIVALS_OF_ONE: usize = 2;
/// Longest text of a request other than an experiment file: a name, an id, a key.
const TEXT_BYTES_MAX: usize = 1024;

/// Calls and streams of people that are under way; workers' streams and health checks are not counted.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    arrivals: Arc<Semaphore>,
    /// How many of each person, while there are any.
    arrivals_of: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place for a data set that arrives, until it is dropped.
pub(super) struct Arrival {
    _place: OwnedSemaphorePermit,
    who: String,
    all: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.who);
            }
        }
    }
}

impl Admission {
    pub(crate) fn new() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { calls: places(CALLS), streams: places(STREAMS), arrivals: places(ARRIVALS), arrivals_of: Arc::default() }
    }

    /// Runs a call, unless there are too many; then it is refused at once.
    pub(crate) async fn call<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let _place = self.calls.try_acquire().map_err(|_| {
            Error::Full(format!("the coordinator answers {CALLS} calls already; ask again in a moment"))
        })?;
        in_time(CALL_LIMIT, work).await
    }

    /// A place for a stream, which is free again when it is dropped.
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            Error::Full(format!("{STREAMS} clients watch, follow or fetch already; ask again in a moment"))
        })
    }

    /// A place for a data set of `who` that arrives.
    pub(super) fn arrival(&self, who: &str) -> Result<Arrival, Error> {
        let mut all = self.arrivals_of.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(who).copied().unwrap_or(0);
        if own >= ARRIVALS_OF_ONE {
            return Err(Error::Full(format!(
                "{own} data sets and imports of yours arrive already; send this one when they are there"
            )));
        }
        let place = self.arrivals.clone().try_acquire_owned().map_err(|_| {
            let who: Vec<&str> = all.keys().map(String::as_str).collect();
            let who = who.join(", ");
            Error::Full(format!(
                "{ARRIVALS} data sets and imports arrive already, of {who}; send yours when one of them is there"
            ))
        })?;
        all.insert(who.to_owned(), own + 1);
        Ok(Arrival { _place: place, who: who.to_owned(), all: self.arrivals_of.clone() })
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let words = format!("no answer within {limit:?}; a change may have been made nevertheless");
        Err(Code::TimedOut.status(words))
    })
}

/// Checks texts of a request, each with the name of its field: Postgres stores no NUL, and compares no book.
pub(super) fn check_texts(texts: &[(&str, &str)]) -> Result<(), Error> {
    for (field, text) in texts {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("`{field}` has {} bytes; expected at most {TEXT_BYTES_MAX}", text.len());
            return Err(Error::Invalid(message));
        }
        check_nul(field, text)?;
    }
    Ok(())
}

/// Refuses a NUL in a text of any length.
pub(super) fn check_nul(field: &str, text: &str) -> Result<(), Error> {
    match text.find('\0') {
        Some(at) => Err(Error::Invalid(format!("`{field}` holds a NUL at byte {at}; expected text"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn more_calls_than_can_be_answered_are_refused_at_once() {
        let admission = Admission::new();
        let (release, released) = tokio::sync::watch::channel(false);
        let call = || {
            let (admission, mut released) = (admission.clone(), released.clone());
            async move {
                let wait =
                    async { released.wait_for(|released| *released).await.map(drop).map_err(|_| Status::internal("")) };
                admission.call(wait).await
            }
        };
        let open: Vec<_> = (0..CALLS).map(|_| tokio::spawn(call())).collect();
        while admission.calls.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = admission.call(async { Ok(()) }).await.unwrap_err();
        assert_eq!(Code::of(&refused), Code::Full);
        release.send(true).unwrap();
        assert!(join_all(open).await.into_iter().all(|call| call.unwrap().is_ok()));
        assert!(admission.call(async { Ok(()) }).await.is_ok());

        let places: Vec<_> = (0..STREAMS).map(|_| admission.stream().unwrap()).collect();
        assert!(matches!(admission.stream(), Err(Error::Full(_))));
        drop(places);
        assert!(admission.stream().is_ok());
    }

    #[test]
    fn one_person_takes_few_of_the_places_for_data_sets() {
        let admission = Admission::new();
        let held: Vec<_> = (0..ARRIVALS_OF_ONE).map(|_| admission.arrival("ann").unwrap()).collect();
        let refused = admission.arrival("ann").err().unwrap().to_string();
        assert!(refused.contains("2 data sets and imports of yours"), "{refused}");
        let others: Vec<_> = (2..ARRIVALS).map(|i| admission.arrival(&format!("user{}", i / 2)).unwrap()).collect();
        assert!(admission.arrival("bob").err().unwrap().to_string().contains("of "));
        drop(held);
        assert!(admission.arrival("ann").is_ok());
        drop(others);
        assert!(admission.arrivals_of.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_call_ends_in_time() {
        let limit = Duration::from_millis(10);
        let late = in_time(limit, std::future::pending::<Result<(), Status>>()).await.unwrap_err();
        assert_eq!(Code::of(&late), Code::TimedOut);
    }

    #[test]
    fn texts_that_postgres_cannot_compare_are_named() {
        assert!(check_texts(&[("target", "encoder"), ("stage", "")]).is_ok());
        let nul = check_texts(&[("target", "encoder"), ("stage", "a\0")]).unwrap_err();
        assert_eq!(nul.to_string(), "`stage` holds a NUL at byte 1; expected text");
        let long = check_texts(&[("worker", &"w".repeat(9000))]).unwrap_err();
        assert!(long.to_string().starts_with("`worker` has 9000 bytes"), "{long}");
    }
}

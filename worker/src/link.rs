//! The stream to the coordinator: connected, registered, and connected again for as long as the worker lives.

mod dial;

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    time::{Duration, Instant},
};

use tandem_connect::{Address, JoinFile};
use tandem_domain::timing;
use tandem_proto::v1::{CoordinatorMessage, Register, Registered, WorkerMessage, coordinator_message, worker_message};
use tokio::time::timeout;

use crate::access::{Access, way};
use dial::{CONNECT_WITHIN, Connected, Failed, Stream, dial, is_refusal};

/// A stream that ends sooner is no success: a coordinator that ends each of them must not be dialled without a pause.
const STABLE: Duration = Duration::from_secs(5);

/// After so many failures in a row the wait does not grow any more.
const FAILURES_MAX: u32 = 16;

pub(crate) struct Link {
    access: Access,
    /// What was read of it last. Its servers are tried in turn.
    read: JoinFile,
    /// Counts on with each try; the place in the list is what is left of it.
    current: usize,
    /// First message of every stream; the session keeps it up to date.
    pub(crate) register: Register,
    failures: u32,
    /// Longest wait between two tries.
    longest_backoff: Duration,
    state: State,
}

enum State {
    Waiting { until: Instant },
    Dialling(Pin<Box<Dial>>),
    Up(Box<Stream>),
}

/// Yields what was read for it, and a stream or the reason why there is none.
type Dial = dyn Future<Output = (Option<JoinFile>, Result<Connected, Failed>)>;

/// What happened on the link.
pub(crate) enum LinkEvent {
    /// A new stream: the answer to our registration, when the registration was sent, and from which address.
    Up {
        registered: Registered,
        at: Instant,
        from: IpAddr,
    },
    Message(coordinator_message::Message),
    /// There is no stream, for this reason. The link tries again by itself. `refused`: the coordinator does not take
    /// something that was sent on it.
    Down {
        reason: String,
        refused: bool,
    },
}

impl Link {
    /// # Errors
    /// Where what it needs cannot be read, or none of the coordinators can be dialled as it is: before anything starts, a
    /// person can still mend that.
    pub(crate) fn new(access: Access, register: Register) -> Result<Self, String> {
        let read = access.read()?;
        (0..read.servers.len()).try_for_each(|place| way(&read, place, CONNECT_WITHIN).map(drop))?;
        let state = State::Waiting { until: Instant::now() };
        let longest_backoff = timing::RECONNECT_LONGEST;
        Ok(Self { access, read, current: 0, register, failures: 0, longest_backoff, state })
    }

    /// Set from the coordinator's timeouts, so that several tries fit into one lease.
    pub(crate) fn set_longest_backoff(&mut self, longest_backoff: Duration) {
        self.longest_backoff = longest_backoff;
    }

    /// The coordinator of the present stream, or of the newest try to get one.
    pub(crate) fn server(&self) -> String {
        self.address().to_string()
    }

    fn address(&self) -> &Address {
        &self.read.servers[self.current % self.read.servers.len()]
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// The next thing that happens on the link. Cancel-safe.
    pub(crate) async fn next(&mut self) -> LinkEvent {
        loop {
            match &mut self.state {
                State::Waiting { until } => {
                    tokio::time::sleep_until((*until).into()).await;
                    if self.failures > 0 {
                        self.current = self.current.wrapping_add(1);
                    }
                    let dial = read_and_dial(self.access.clone(), self.current, self.register.clone());
                    self.state = State::Dialling(Box::pin(dial));
                }
                State::Dialling(dial) => {
                    let (read, dialled) = dial.await;
                    if let Some(read) = read {
                        self.read = read;
                    }
                    match dialled {
                        Ok(Connected { stream, registered, at, from }) => {
                            self.state = State::Up(Box::new(stream));
                            return LinkEvent::Up { registered, at, from };
                        }
                        Err(failed) => return self.down(failed, false),
                    }
                }
                State::Up(stream) => match stream.inbound.message().await {
                    Ok(Some(CoordinatorMessage { message: Some(message) })) => return LinkEvent::Message(message),
                    // A message of a newer version: ignored.
                    Ok(Some(CoordinatorMessage { message: None })) => {}
                    Ok(None) => return self.down(Failed::of("the coordinator closed the stream"), false),
                    Err(status) => {
                        let failed = Failed::by(self.address(), &status);
                        return self.down(failed, is_refusal(&status));
                    }
                },
            }
        }
    }

    /// Queues a message. `false`: there is no stream, or it was stuck and is given up.
    pub(crate) fn send(&mut self, message: worker_message::Message) -> bool {
        let State::Up(stream) = &self.state else { return false };
        match stream.outbound.try_send(WorkerMessage { message: Some(message) }) {
            Ok(()) => true,
            Err(_) => {
                self.disconnect();
                false
            }
        }
    }

    /// Closes our half of the stream and waits until the coordinator, having read all of it, closes its own. `false`: it
    /// did not within `limit`.
    pub(crate) async fn finish(self, limit: Duration) -> bool {
        let State::Up(stream) = self.state else { return false };
        let Stream { outbound, mut inbound, .. } = *stream;
        drop(outbound);
        let rest = async {
            loop {
                match inbound.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            }
        };
        timeout(limit, rest).await.unwrap_or(false)
    }

    /// Gives the stream up; the next try comes after a backoff.
    pub(crate) fn disconnect(&mut self) {
        if let State::Up(stream) = &self.state
            && stream.since.elapsed() >= STABLE
        {
            self.failures = 0;
        }
        // Random: it spreads the workers of a coordinator that has just gone.
        let fraction = (uuid::Uuid::new_v4().as_u128() >> 64) as u32;
        self.state = State::Waiting { until: Instant::now() + backoff(self.failures, self.longest_backoff, fraction) };
        self.failures = self.failures.saturating_add(1);
    }

    fn down(&mut self, failed: Failed, refused: bool) -> LinkEvent {
        let Failed { reason, denied } = failed;
        if denied {
            // Only a person can mend it: no reason to hurry.
            self.failures = FAILURES_MAX;
        }
        self.disconnect();
        LinkEvent::Down { reason, refused }
    }
}

/// One try, with what the files say now: a token is changed without a restart.
async fn read_and_dial(
    access: Access,
    place: usize,
    register: Register,
) -> (Option<JoinFile>, Result<Connected, Failed>) {
    // On a thread of its own: a file may lie on a disk that does not answer.
    let reading = tokio::task::spawn_blocking(move || access.read());
    let read = match timeout(CONNECT_WITHIN, reading).await {
        Ok(Ok(Ok(read))) => read,
        // Only a person can mend it.
        Ok(Ok(Err(reason))) => return (None, Err(Failed { reason, denied: true })),
        Ok(Err(_)) => return (None, Err(Failed::of("the thread that reads the token broke off"))),
        Err(_) => {
            return (None, Err(Failed::of(format!("the file with the token was not read within {CONNECT_WITHIN:?}"))));
        }
    };
    let dialled = match way(&read, place, CONNECT_WITHIN) {
        Ok(way) => dial(way, register).await,
        Err(reason) => Err(Failed { reason, denied: true }),
    };
    (Some(read), dialled)
}

/// How long to wait after this many failures in a row: doubled each time, bounded, and spread by `fraction` of 2³².
fn backoff(failures: u32, longest_backoff: Duration, fraction: u32) -> Duration {
    let full = timing::RECONNECT_FIRST.saturating_mul(1 << failures.min(FAILURES_MAX)).min(longest_backoff);
    full / 2 + full.mul_f64(f64::from(fraction) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_spread() {
        let backoff = |failures, fraction| super::backoff(failures, timing::RECONNECT_LONGEST, fraction);
        assert_eq!(backoff(0, 0), timing::RECONNECT_FIRST / 2);
        assert_eq!(backoff(0, u32::MAX), timing::RECONNECT_FIRST);
        assert_eq!(backoff(1, u32::MAX), timing::RECONNECT_FIRST * 2);
        for failures in 0..100 {
            assert!(backoff(failures, u32::MAX) <= timing::RECONNECT_LONGEST);
            assert!(backoff(failures, 0) >= timing::RECONNECT_FIRST / 2);
        }
        assert_eq!(backoff(u32::MAX, u32::MAX), timing::RECONNECT_LONGEST);
    }
}

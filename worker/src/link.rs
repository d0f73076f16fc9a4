//! The stream to the coordinator: connected, registered, and connected again for as long as the worker lives.

mod dial;

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    time::{Duration, Instant},
};

use tandem_domain::timing;
use tandem_proto::v1::{CoordinatorMessage, Register, Registered, WorkerMessage, coordinator_message, worker_message};
use tokio::time::timeout;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::Endpoint,
};

use dial::{CONNECT_WITHIN, Connected, Stream, describe, dial, is_refusal};

/// A stream that ends sooner is no success: a coordinator that ends each of them must not be dialled without a pause.
const STABLE: Duration = Duration::from_secs(5);

pub(crate) struct Link {
    /// Tried in turn.
    endpoints: Vec<Endpoint>,
    /// Endpoint of the present try or stream.
    current: usize,
    token: Option<MetadataValue<Ascii>>,
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

/// Yields a stream, or the reason why there is none.
type Dial = dyn Future<Output = Result<Connected, String>>;

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
    /// At least one endpoint.
    pub(crate) fn new(endpoints: Vec<Endpoint>, token: Option<MetadataValue<Ascii>>, register: Register) -> Self {
        // No HTTP/2 keepalive: it would end the stream to a coordinator that hangs. That would look like a lost
        // connection, and the rank would go on without a lease. Heartbeats tell the two apart.
        let tuned = |endpoint: Endpoint| endpoint.connect_timeout(CONNECT_WITHIN).tcp_nodelay(true);
        let endpoints = endpoints.into_iter().map(tuned).collect();
        let state = State::Waiting { until: Instant::now() };
        Self { endpoints, current: 0, token, register, failures: 0, longest_backoff: timing::RECONNECT_LONGEST, state }
    }

    /// Set from the coordinator's timeouts, so that several tries fit into one lease.
    pub(crate) fn set_longest_backoff(&mut self, longest_backoff: Duration) {
        self.longest_backoff = longest_backoff;
    }

    /// The coordinator of the present stream, or of the newest try to get one.
    pub(crate) fn server(&self) -> String {
        self.endpoints[self.current].uri().to_string()
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
                        self.current = (self.current + 1) % self.endpoints.len();
                    }
                    let endpoint = self.endpoints[self.current].clone();
                    let dial = dial(endpoint, self.token.clone(), self.register.clone());
                    self.state = State::Dialling(Box::pin(dial));
                }
                State::Dialling(dial) => match dial.await {
                    Ok(Connected { stream, registered, at, from }) => {
                        self.state = State::Up(Box::new(stream));
                        return LinkEvent::Up { registered, at, from };
                    }
                    Err(reason) => return self.down(reason, false),
                },
                State::Up(stream) => match stream.inbound.message().await {
                    Ok(Some(CoordinatorMessage { message: Some(message) })) => return LinkEvent::Message(message),
                    // A message of a newer version: ignored.
                    Ok(Some(CoordinatorMessage { message: None })) => {}
                    Ok(None) => return self.down("the coordinator closed the stream".to_owned(), false),
                    Err(status) => return self.down(describe(&status), is_refusal(&status)),
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

    fn down(&mut self, reason: String, refused: bool) -> LinkEvent {
        self.disconnect();
        LinkEvent::Down { reason, refused }
    }
}

/// How long to wait after this many failures in a row: doubled each time, bounded, and spread by `fraction` of 2³².
fn backoff(failures: u32, longest_backoff: Duration, fraction: u32) -> Duration {
    let full = timing::RECONNECT_FIRST.saturating_mul(1 << failures.min(16)).min(longest_backoff);
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

//! The coordinators of one database: whichever answers is asked, and what it costs when none does.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Error, Result};
use tandem_connect::{Address, Dialer, Tuning, dialer::bearer, look::look, pin::root_of};
use tandem_proto::v1::{
    data_client::DataClient, devices_client::DevicesClient, fleet_client::FleetClient, jobs_client::JobsClient,
    keeping_client::KeepingClient, notify_client::NotifyClient, people_client::PeopleClient,
    policies_client::PoliciesClient, results_client::ResultsClient,
};
use tokio::time::timeout;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use crate::{
    core_files,
    exit::{Exit, Failure},
    heard::Heard,
    known_houses::Doorkeeper,
    refusal::{Refusal, is_away},
    target::Target,
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that vanished silently is noticed after about twice this.
const PING_EVERY: Duration = Duration::from_secs(10);
/// The longest that a coordinator may take for an answer, or to begin a stream: more than the largest experiment needs.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Who waits longer is told what for.
const SAY_AFTER: Duration = Duration::from_secs(7);
/// A list of a thousand jobs with their specs is a few MiB.
const LARGEST_MESSAGE: usize = 64 << 20;

type Service = InterceptedService<Heard<Channel>, Authorization>;

/// Any of the coordinators serves: the one that answered last is asked first.
pub(crate) struct Client {
    servers: Vec<(String, Services)>,
    current: AtomicUsize,
    target: Target,
}

/// One coordinator; it is dialled when it is first asked.
#[derive(Clone)]
pub(crate) struct Services(Service);

impl Services {
    pub(crate) fn jobs(&self) -> JobsClient<Service> {
        JobsClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn results(&self) -> ResultsClient<Service> {
        ResultsClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn data(&self) -> DataClient<Service> {
        DataClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn fleet(&self) -> FleetClient<Service> {
        FleetClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn policies(&self) -> PoliciesClient<Service> {
        PoliciesClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn keeping(&self) -> KeepingClient<Service> {
        KeepingClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn notify(&self) -> NotifyClient<Service> {
        NotifyClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn devices(&self) -> DevicesClient<Service> {
        DevicesClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn people(&self) -> PeopleClient<Service> {
        PeopleClient::new(self.0.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }
}

impl Client {
    pub(crate) fn new(target: Target) -> Result<Self> {
        if target.token.is_some() {
            core_files::forbid();
        }
        let servers = target.servers.iter().map(|server| Ok((server.to_string(), services(server, &target)?)));
        Ok(Self { servers: servers.collect::<Result<_>>()?, current: AtomicUsize::new(0), target })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The coordinator that is asked now.
    pub(crate) fn server(&self) -> &str {
        &self.servers[self.index()].0
    }

    pub(crate) fn server_count(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn services(&self) -> &Services {
        &self.servers[self.index()].1
    }

    /// From here on the next coordinator of the list is asked.
    pub(crate) fn turn(&self) {
        self.current.store((self.index() + 1) % self.servers.len(), Relaxed);
    }

    fn index(&self) -> usize {
        self.current.load(Relaxed)
    }

    /// The answer of the first coordinator that gives one. `tried` completes "cannot ...".
    ///
    /// A request may be sent more than once, so it must be one that changes nothing the second time.
    pub(crate) async fn ask<T>(
        &self,
        tried: &str,
        request: impl AsyncFn(&Services) -> Result<Response<T>, Status>,
    ) -> Result<T> {
        match self.try_each(request).await {
            Ok(answer) => Ok(answer),
            Err(refusal) => Err(self.error(&refusal, tried).await),
        }
    }

    /// What to say where `refusal` is the end. Looks at what is presented where another certificate was expected: the person has
    /// to compare them. `tried` completes "cannot ...".
    pub(crate) async fn error(&self, refusal: &Refusal, tried: &str) -> Error {
        let other = refusal.of_other_house().and_then(|server| server.parse::<Address>().ok());
        let (Some(address), Some(house)) = (other, &self.target.house) else { return refusal.error(tried) };
        let Some(shown) = look(&address).await.ok().and_then(|chain| root_of(&chain)) else {
            return refusal.error(tried);
        };
        Failure::error(
            Exit::NotAllowed,
            format!(
                "cannot {tried}: the certificate at {address} is not of the house that you joined: expected the fingerprint\n  \
                 {}\nbut it shows\n  {shown}\nNothing was sent. Ask its admin which one is right: where there is a new one, join \
                 again with tandem join {address} FINGERPRINT; else something else answers here",
                house.fingerprint()
            ),
        )
    }

    /// As [`ask`](Self::ask), with the refusal as it came.
    pub(crate) async fn try_each<T>(
        &self,
        request: impl AsyncFn(&Services) -> Result<Response<T>, Status>,
    ) -> Result<T, Refusal> {
        self.try_each_as_long_as_it_takes(async |on| self.patiently(request(on)).await).await
    }

    /// As [`try_each`](Self::try_each), of a request that sends much before it is answered, and bounds that wait itself.
    pub(crate) async fn try_each_as_long_as_it_takes<T>(
        &self,
        request: impl AsyncFn(&Services) -> Result<Response<T>, Status>,
    ) -> Result<T, Refusal> {
        let mut refusal = Refusal::default();
        // One coordinator alone is asked twice: it may have been restarted since the last call.
        for _ in 0..self.servers.len().max(2) {
            let status = match request(self.services()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            let next = is_away(&status);
            refusal.add(self.server(), status);
            if !next {
                break;
            }
            self.turn();
        }
        Err(refusal)
    }
}

impl Client {
    /// An answer within its time. Says so once if it takes long.
    async fn patiently<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let mut answer = std::pin::pin!(in_time(answer));
        if let Ok(answer) = timeout(SAY_AFTER, &mut answer).await {
            return answer;
        }
        let limit = ANSWER_WITHIN.as_secs();
        eprintln!("tandem: still waiting for an answer of {} (up to {limit} s)", self.server());
        answer.await
    }
}

/// The beginning of an answer, within its time.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    within(ANSWER_WITHIN, answer).await
}

async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let late = || Status::deadline_exceeded(format!("no answer within {} s", limit.as_secs()));
    timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}

fn services(server: &Address, target: &Target) -> Result<Services> {
    let wrong = |reason: String| Failure::error(Exit::Config, reason);
    let tuning = Tuning { connect_within: CONNECT_WITHIN, ping_every: Some(PING_EVERY) };
    let keeper = Doorkeeper::new(target.token.is_some());
    let dialer = Dialer::new(server, target.house.as_ref(), tuning, keeper.judge()).map_err(wrong)?;
    let header = target.token.as_ref().map(|token| bearer(server, token)).transpose().map_err(wrong)?;
    let channel = Heard::new(dialer.lazily(), server.socket().map(|_| keeper));
    Ok(Services(InterceptedService::new(channel, Authorization(header))))
}

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Authorization(Option<MetadataValue<Ascii>>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use tandem_domain::access::{
        PersonRole, TokenRole,
        token::{RANDOM_BYTES, Token},
    };
    use tandem_proto::v1::StatusRequest;

    use super::*;
    use crate::exit::classify;

    fn target(servers: &[&str], token: Option<Token>) -> Target {
        Target { servers: servers.iter().map(|server| server.parse().unwrap()).collect(), house: None, token }
    }

    /// Bound and dropped: nobody listens there.
    fn nobody() -> String {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        format!("http://127.0.0.1:{port}")
    }

    async fn refused(servers: &[&str]) -> (Exit, String) {
        let client = Client::new(target(servers, None)).unwrap();
        let answer = client.ask("ask", async |on| on.fleet().status(StatusRequest {}).await).await;
        let (exit, message) = classify(&answer.unwrap_err());
        (exit, message.unwrap())
    }

    #[tokio::test]
    async fn absent_coordinators_are_explained() {
        let (a, b) = (nobody(), nobody());
        let (exit, message) = refused(&[&a]).await;
        assert_eq!(exit, Exit::Unreachable);
        assert!(message.contains("connection refused. Is it running? `tandem up`"), "{message}");
        let (exit, message) = refused(&[&a, &b]).await;
        assert_eq!(exit, Exit::Unreachable);
        assert!(message.contains(&a) && message.contains(&b), "all that were tried: {message}");
    }

    #[tokio::test]
    async fn what_must_not_be_called_is_refused_before_the_call() {
        let token = Token::new(TokenRole::Person(PersonRole::Reader), &[3; RANDOM_BYTES]);
        for (server, expected) in [("http://box:1", "plain http"), ("https://box:1", "tandem join https://box:1")] {
            let (exit, said) = classify(&Client::new(target(&[server], Some(token.clone()))).err().unwrap());
            let said = said.unwrap();
            assert!(exit == Exit::Config && said.contains(expected) && !said.contains(token.reveal()), "{said}");
        }
    }

    #[tokio::test]
    async fn a_coordinator_that_never_answers_is_not_waited_for_without_a_limit() {
        let answer = within(Duration::ZERO, std::future::pending::<Result<(), Status>>()).await;
        assert_eq!(answer.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    }
}

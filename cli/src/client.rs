//! The connection to the coordinator, and its errors in words for people.

use std::{error::Error as _, time::Duration};

use anyhow::{Error, Result};
use tandem_proto::{
    status::Code,
    v1::{fleet_client::FleetClient, jobs_client::JobsClient, results_client::ResultsClient},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    config::Target,
    exit::{Exit, Failure, classify},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that vanished silently is noticed after about twice this.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A list of a thousand jobs with their specs is a few MiB.
const LARGEST_MESSAGE: usize = 64 << 20;

type Service = InterceptedService<Channel, Authorization>;

/// One connection, all services.
#[derive(Clone)]
pub(crate) struct Client {
    server: String,
    service: Service,
}

impl Client {
    /// To the first coordinator of the target that answers.
    pub(crate) async fn connect(target: &Target) -> Result<Self> {
        let mut away = Vec::new();
        for server in target.server.split(',') {
            match Self::connect_to(server, target).await {
                Err(error) if classify(&error).0 == Exit::Unreachable => away.push(error),
                outcome => return outcome,
            }
        }
        // The error of the first one is the one that helps.
        Err(away.into_iter().next().unwrap_or_else(|| unreachable(&target.server, "no address was given")))
    }

    async fn connect_to(server: &str, target: &Target) -> Result<Self> {
        let wrong = |reason: String| Failure::error(Exit::Config, reason);
        let endpoint = Endpoint::from_shared(server.to_owned())
            .map_err(|error| wrong(format!("`{server}` is no coordinator address: {error}")))?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        let header = target.token.as_ref().map(|token| format!("Bearer {token}").parse::<MetadataValue<Ascii>>());
        let authorization = Authorization(
            header.transpose().map_err(|_| wrong("the token holds characters that no token has".to_owned()))?,
        );
        let channel = endpoint.connect().await.map_err(|error| unreachable(server, &root_cause(&error)))?;
        Ok(Self { server: server.to_owned(), service: InterceptedService::new(channel, authorization) })
    }

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn jobs(&self) -> JobsClient<Service> {
        JobsClient::new(self.service.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn results(&self) -> ResultsClient<Service> {
        ResultsClient::new(self.service.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) fn fleet(&self) -> FleetClient<Service> {
        FleetClient::new(self.service.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// The error of a call. `tried` completes "cannot ...".
    pub(crate) fn refusal(&self, tried: &str, status: &Status) -> Error {
        if is_unavailable(status) {
            let reason = status.source().map_or_else(|| status.message().to_owned(), root_cause);
            return unreachable(&self.server, &reason);
        }
        Failure::error(exit_of(Code::of(status)), format!("cannot {tried}: {}", message(status)))
    }
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

/// The connection failed or the coordinator shuts down: the call may succeed in a moment. A status that was made on this
/// side has a source; one that the coordinator sent has none.
pub(crate) fn is_unavailable(status: &Status) -> bool {
    Code::of(status) == Code::Unavailable || status.source().is_some()
}

fn unreachable(server: &str, reason: &str) -> Error {
    Failure::error(
        Exit::Unreachable,
        format!(
            "cannot reach the coordinator at {server}: {reason}. Is it running? `tandem up` starts one on this machine."
        ),
    )
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    // "Connection refused (os error 111)": the number helps nobody.
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn message(status: &Status) -> String {
    if status.message().is_empty() {
        format!("the coordinator answered {:?}", status.code())
    } else {
        status.message().to_owned()
    }
}

fn exit_of(code: Code) -> Exit {
    match code {
        Code::InvalidInput | Code::WrongState | Code::AlreadyExists | Code::Unsupported => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::Unauthenticated | Code::Forbidden => Exit::NotAllowed,
        Code::Unavailable => Exit::Unreachable,
        Code::TimedOut | Code::Full | Code::Stale | Code::Cancelled => Exit::Temporary,
        Code::DataLoss | Code::Internal => Exit::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_absent_coordinator_is_explained() {
        // Bound and dropped: nobody listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let target = Target { server: format!("http://127.0.0.1:{port}"), token: None };
        let error = Client::connect(&target).await.err().unwrap();
        let (exit, message) = classify(&error);
        assert_eq!(exit, Exit::Unreachable);
        let message = message.unwrap();
        assert!(message.contains("connection refused. Is it running? `tandem up`"), "{message}");
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_sent_is_refused_before_the_call() {
        let target = Target { server: "http://127.0.0.1:1".to_owned(), token: Some("a\nb".to_owned()) };
        assert_eq!(classify(&Client::connect(&target).await.err().unwrap()).0, Exit::Config);
    }
}

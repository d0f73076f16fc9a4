//! A coordinator in this process that listens on a real port and a socket, and its clients.

use std::{
    ffi::OsStr,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use clap::Parser;
use tandem_harness::{TestDatabase, announced_address, until_async};
use tandem_proto::v1::{
    self, fleet_client::FleetClient, jobs_client::JobsClient, people_client::PeopleClient,
    results_client::ResultsClient,
};
use tandem_server::{Args, StartError, serve};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::LIMIT;

pub(crate) struct Server {
    /// For whoever has a token.
    pub(crate) address: String,
    /// Where this account is the admin.
    pub(crate) socket: PathBuf,
    stop_token: CancellationToken,
    serving: JoinHandle<Result<(), StartError>>,
}

impl Server {
    /// Serves until it is told to stop. Several on one database share their store as well.
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, &[]).await
    }

    pub(crate) async fn start_with(database: &TestDatabase, more: &[&str]) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let (folder, url) = (database.folder.path(), database.url());
        let (store, announce) = (folder.join("store"), folder.join("announce.json"));
        let socket = folder.join(format!("{}.sock", STARTED.fetch_add(1, Relaxed)));
        let receipt_key = folder.join("receipt.key");
        // Of a server before.
        let _ = std::fs::remove_file(&announce);
        let args = [
            "tandem-server".as_ref(),
            "--database-url".as_ref(),
            url.as_ref(),
            "--listen=127.0.0.1:0".as_ref(),
            "--store".as_ref(),
            store.as_os_str(),
            "--announce".as_ref(),
            announce.as_os_str(),
            "--socket".as_ref(),
            socket.as_os_str(),
            "--receipt-key".as_ref(),
            receipt_key.as_os_str(),
        ];
        let args = Args::parse_from(args.into_iter().chain(more.iter().map(|arg| OsStr::new(*arg))));
        let stop_token = CancellationToken::new();
        let serving = tokio::spawn(serve(args, stop_token.clone()));
        let address = until_async("the server listens", LIMIT, async || {
            assert!(!serving.is_finished(), "the server ended before it was ready");
            announced_address(&announce)
        })
        .await;
        Self { address, socket, stop_token, serving }
    }

    /// Tells it to stop, and waits until it has stopped.
    pub(crate) async fn stop(self) {
        self.stop_token.cancel();
        timeout(LIMIT, self.serving).await.expect("the server does not stop").unwrap().unwrap();
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn begin_stop(&self) {
        self.stop_token.cancel();
    }

    /// By the socket, as the admin.
    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::try_from(format!("unix://{}", self.socket.display())).unwrap().connect().await.unwrap()
    }

    /// Over TCP, as nobody.
    pub(crate) async fn far(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    /// A new token, of `person` or of nobody.
    pub(crate) async fn token(&self, role: &str, person: &str) -> v1::NewTokenResponse {
        let (name, role, person) = ("test".to_owned(), role.to_owned(), person.to_owned());
        let request = v1::NewTokenRequest { name, role, person, expires_in_seconds: None };
        self.people().await.new_token(request).await.unwrap().into_inner()
    }

    pub(crate) async fn people(&self) -> PeopleClient<Channel> {
        PeopleClient::new(self.channel().await)
    }

    pub(crate) async fn jobs(&self) -> JobsClient<Channel> {
        JobsClient::new(self.channel().await)
    }

    pub(crate) async fn results(&self) -> ResultsClient<Channel> {
        ResultsClient::new(self.channel().await)
    }

    pub(crate) async fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel().await)
    }
}

pub(crate) fn submit(toml: &str) -> v1::SubmitRequest {
    v1::SubmitRequest { toml: toml.to_owned(), file_name: "test.toml".to_owned(), ..Default::default() }
}

//! A coordinator in this process that listens on a real port, and its clients.

use clap::Parser;
use tandem_harness::{TestDatabase, announced_address, until_async};
use tandem_proto::v1::{self, fleet_client::FleetClient, jobs_client::JobsClient, results_client::ResultsClient};
use tandem_server::{Args, StartError, serve};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::LIMIT;

pub(crate) struct Server {
    pub(crate) address: String,
    stop_token: CancellationToken,
    serving: JoinHandle<Result<(), StartError>>,
}

impl Server {
    /// Serves until it is told to stop. Several on one database share their store as well.
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        let (store, announce) = (database.folder.path().join("store"), database.folder.path().join("announce.json"));
        // Of a server before.
        let _ = std::fs::remove_file(&announce);
        let args = Args::parse_from([
            "tandem-server".as_ref(),
            "--database-url".as_ref(),
            database.url().as_ref(),
            "--listen=127.0.0.1:0".as_ref(),
            "--store".as_ref(),
            store.as_os_str(),
            "--announce".as_ref(),
            announce.as_os_str(),
        ]);
        let stop_token = CancellationToken::new();
        let serving = tokio::spawn(serve(args, stop_token.clone()));
        let address = until_async("the server listens", LIMIT, async || {
            assert!(!serving.is_finished(), "the server ended before it was ready");
            announced_address(&announce)
        })
        .await;
        Self { address, stop_token, serving }
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

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
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
    let (toml, file_name, owner) = (toml.to_owned(), "test.toml".to_owned(), "ada".to_owned());
    v1::SubmitRequest { toml, file_name, owner, ..Default::default() }
}

//! A server in this process, on a real port, and its clients.

use clap::Parser;
use tandem_proto::v1::{self, fleet_client::FleetClient, jobs_client::JobsClient, results_client::ResultsClient};
use tandem_server::{Args, StartError, serve};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::ground::{Ground, PATIENCE};

pub(crate) struct House {
    pub(crate) address: String,
    closing: CancellationToken,
    serving: JoinHandle<Result<(), StartError>>,
}

impl House {
    /// Serves until it is told to stop.
    pub(crate) async fn open(ground: &Ground) -> Self {
        let (store, announce) = (ground.dir.path().join("store"), ground.dir.path().join("announce.json"));
        let _ = std::fs::remove_file(&announce);
        let args = Args::parse_from([
            "tandem-server".as_ref(),
            "--database-url".as_ref(),
            ground.url().as_ref(),
            "--listen=127.0.0.1:0".as_ref(),
            "--store".as_ref(),
            store.as_os_str(),
            "--announce".as_ref(),
            announce.as_os_str(),
        ]);
        let closing = CancellationToken::new();
        let serving = tokio::spawn(serve(args, closing.clone()));
        let address = timeout(PATIENCE, async {
            loop {
                if let Ok(text) = std::fs::read_to_string(&announce) {
                    let announced: serde_json::Value = serde_json::from_str(&text).unwrap();
                    return announced["address"].as_str().unwrap().to_owned();
                }
                assert!(!serving.is_finished(), "the server ended before it was ready");
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        Self { address, closing, serving }
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn close(self) {
        self.closing.cancel();
        timeout(PATIENCE, self.serving).await.expect("the server does not stop").unwrap().unwrap();
    }

    /// The word to stop, without waiting.
    pub(crate) fn begin_to_close(&self) {
        self.closing.cancel();
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

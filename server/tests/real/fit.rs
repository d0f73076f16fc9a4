//! A worker gets jobs once the coordinator has read what it wrote into the store, and not before.

use tandem_harness::{TestDatabase, until_async};
use tandem_proto::v1;
use uuid::Uuid;

use crate::{
    LIMIT,
    fake_worker::FakeWorker,
    server::{Server, submit},
};

const ONE_JOB: &str = "name = \"here\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\n\
                       encoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 64\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_probe_is_not_there_is_told_so_and_gets_nothing_until_it_is() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut blind = FakeWorker::connect(&server, "blind", Uuid::new_v4(), Vec::new()).await.unwrap();
    blind.says_it_sees_the_store().await;
    let told = blind.unfit().await;
    assert!(told.contains("both must see one folder under that path"), "{told}");

    let workers =
        async || server.fleet().await.status(v1::StatusRequest::default()).await.unwrap().into_inner().workers;
    let shown = workers().await.remove(0);
    assert_eq!((shown.state(), shown.unfit), (v1::WorkerState::Unfit, told));

    server.jobs().await.submit(submit(ONE_JOB)).await.unwrap();
    until_async("the job waits and says why", LIMIT, async || {
        let jobs = server.jobs().await.list(v1::ListRequest::default()).await.unwrap().into_inner().jobs;
        jobs[0].reason.contains("unfit").then_some(())
    })
    .await;
    assert_eq!(database.value::<i64>("SELECT count(*) FROM leases"), 0);

    blind.show_store().await;
    assert_eq!(blind.assignment().await.world_size, 1);
}

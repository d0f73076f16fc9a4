//! What a worker shows before it gets jobs: that it sees the store, and which data sets it has.

use std::{fs, path::Path};

use tandem_proto::v1::{self, StoreSeen, coordinator_message, worker_message::Message};

use crate::{
    coordinator::{Coordinator, Session},
    worker::Worker,
};

async fn store_seen(session: &mut Session) -> StoreSeen {
    let seen = |message: &Message| match message {
        Message::StoreSeen(seen) => Some(seen.clone()),
        _ => None,
    };
    session.until(&mut Vec::new(), seen).await
}

/// Names, images and problems of the data sets, once all are known.
async fn datasets(session: &mut Session) -> Vec<(String, u64, String)> {
    let complete = |message: &Message| match message {
        Message::Datasets(datasets) if datasets.complete => Some(datasets.datasets.clone()),
        _ => None,
    };
    let told = session.until(&mut Vec::new(), complete).await;
    told.into_iter().map(|seen| (seen.name, seen.train, seen.problem)).collect()
}

fn draw(folder: &Path, half: &str, shade: u8) {
    let class = folder.join(half).join("a");
    fs::create_dir_all(&class).unwrap();
    let pixels = [b"P6 32 32 255\n".as_slice(), &[shade; 3072]].concat();
    fs::write(class.join(format!("{shade}.ppm")), pixels).unwrap();
}

async fn connected(coordinator: &mut Coordinator, folders: tempfile::TempDir) -> (Worker, Session) {
    let worker = Worker::start_in(folders, &coordinator.url(), &[]);
    let mut session = coordinator.session().await;
    session.skip_fitness = false;
    (worker, session)
}

#[tokio::test]
async fn a_worker_shows_that_it_sees_the_store_and_tells_its_data_sets_and_what_becomes_of_them() {
    let mut coordinator = Coordinator::start().await;
    let folders = tempfile::tempdir().unwrap();
    let data = folders.path().join("data");
    ["train", "test"].into_iter().for_each(|half| draw(&data.join("cats"), half, 1));
    let (worker, mut session) = connected(&mut coordinator, folders).await;
    assert_eq!((session.register.protocol, session.register.learn_version.as_str()), (1, tandem_domain::LEARN_VERSION));

    assert_eq!(store_seen(&mut session).await, StoreSeen { error: String::new(), number: 1 });
    let probe = coordinator.store.path().join(".tandem-probes/probe-1");
    assert_eq!(fs::read_to_string(probe).unwrap(), "id-of-the-store");
    assert_eq!(datasets(&mut session).await, [("folder:cats".to_owned(), 1, String::new())]);

    draw(&data.join("cats"), "train", 2);
    assert_eq!(datasets(&mut session).await[0].1, 2);
    fs::write(data.join("cats/train/a/3.ppm"), "P6").unwrap();
    let told = datasets(&mut session).await.remove(0);
    assert!(told.2.contains("cats/train/a/3.ppm"), "{told:?}");

    // The coordinator does not find the probe: another follows soon.
    let unfit = "what it wrote cannot be read".to_owned();
    session.send(coordinator_message::Message::Fitness(v1::Fitness { unfit })).await;
    assert_eq!(store_seen(&mut session).await.number, 2);
    drop(worker);
}

#[tokio::test]
async fn a_worker_without_the_store_says_what_is_not_there() {
    let mut coordinator = Coordinator::start().await;
    let id = coordinator.store.path().join(".tandem-store");
    fs::write(&id, "of another store").unwrap();
    let (_worker, mut session) = connected(&mut coordinator, tempfile::tempdir().unwrap()).await;
    let error = store_seen(&mut session).await.error;
    assert!(error.contains("is another folder here than the coordinator's"), "{error}");
    fs::remove_file(&id).unwrap();
    let error = store_seen(&mut session).await.error;
    assert!(error.contains(".tandem-store: No such file"), "{error}");
    fs::write(&id, "id-of-the-store").unwrap();
    assert_eq!(store_seen(&mut session).await.error, "");
}

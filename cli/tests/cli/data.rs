use std::fs;

use crate::run;

/// Nobody answers there: a data set is got without a coordinator.
const NOBODY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn a_set_that_is_there_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cifar-100-binary");
    fs::create_dir(&folder).unwrap();
    for file in ["train.bin", "test.bin"] {
        fs::write(folder.join(file), "images").unwrap();
    }
    let data = dir.path().to_str().unwrap();
    let get = run(NOBODY, &["data", "get", "cifar100", "--data", data, "--json"]).await;
    assert_eq!(get.code(), Some(0), "{}", get.stderr());
    assert_eq!(get.json()["present"], true);
    assert_eq!(get.json()["folder"], folder.to_str().unwrap());
}

#[tokio::test]
async fn a_download_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let args = ["data", "get", "cifar10", "--data", data.to_str().unwrap(), "--from", "http://127.0.0.1:1/x.tar.gz"];
    let get = run(NOBODY, &args).await;
    assert_eq!(get.code(), Some(75), "{}", get.stderr());
    assert!(get.stderr().contains("cannot download http://127.0.0.1:1/x.tar.gz"), "{}", get.stderr());
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    assert_eq!(run(NOBODY, &["data", "get", "mnist"]).await.code(), Some(2));
}

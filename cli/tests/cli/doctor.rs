//! `tandem doctor`, on whatever machine this is.

use tandem_proto::v1::StatusResponse;

use crate::{
    coordinator::{Coordinator, Script},
    tandem,
};

#[tokio::test]
async fn it_looks_and_changes_nothing() {
    let status = StatusResponse {
        leader: "box".to_owned(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..StatusResponse::default()
    };
    let (server, _) = Coordinator::start(Script { status, ..Script::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let mut command = tandem(&server, &["doctor", "--json", "--no-kernels"]);
    let ran = command.env("TANDEM_HOME", &home).env_remove("TANDEM_STORE").output().await.unwrap();
    let said: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let of = |what: &str| checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("{what}: {said}"));
    for what in ["driver", "Postgres", "home", "store", "data", "port"] {
        assert!(of(what)["found"].as_str().is_some_and(|found| !found.is_empty()), "{said}");
    }
    assert_eq!((&of("coordinator")["grade"], &of("clock")["grade"]), (&"ok".into(), &"ok".into()), "{said}");
    let advised = checks.iter().all(|check| (check["grade"] == "ok") == check["advice"].is_null());
    assert!(advised, "what is not well has an advice: {said}");
    let worst = ["ok", "warn", "bad"].iter().position(|word| said["worst"] == *word).unwrap();
    assert_eq!(ran.status.code(), Some([0, 1, 78][worst]), "{said}");
    assert!(!home.exists(), "nothing was made");
}

#[tokio::test]
async fn a_library_that_is_none_and_a_worker_that_is_broken_are_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("libnvidia-ml.so"), "no library").unwrap();
    for program in ["tandem-worker", "tandem-server"] {
        std::fs::write(folder.path().join(program), "no program").unwrap();
    }
    let mut command = tandem("http://127.0.0.1:1", &["doctor"]);
    command.env("TANDEM_HOME", folder.path().join("home")).env("TANDEM_BIN_DIR", folder.path());
    let ran = command.env("TANDEM_NVML", folder.path().join("libnvidia-ml.so")).output().await.unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(78), "{text}");
    assert!(text.contains("the library of TANDEM_NVML does not serve"), "{text}");
    assert!(text.contains("cannot start it: Permission denied"), "{text}");
    assert!(text.contains("none answers"), "{text}");
}

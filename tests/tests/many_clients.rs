//! Several people at once, scripts and generic gRPC tools.

use std::{collections::HashSet, time::Duration};

use serde_json::Value;
use tandem_harness::{Cluster, small_experiment};
use tokio_stream::StreamExt as _;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[test]
fn ten_submits_at_once_land_once_each_and_every_command_speaks_json() -> anyhow::Result<()> {
    let cluster = Cluster::start(1)?;
    let files = (0..10)
        .map(|n| {
            cluster.file(
                &format!("many-{n}.toml"),
                &small_experiment(&format!("many-{n}"), 1, 1).replace("seed = 7", &format!("seed = {n}")),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let outcomes = std::thread::scope(|scope| {
        let submit = |file: &std::path::PathBuf| cluster.tandem(&["--json", "submit", &file.to_string_lossy()], "");
        let submits: Vec<_> = files.iter().map(|file| scope.spawn(move || submit(file))).collect();
        submits.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    let mut ids = HashSet::new();
    for outcome in &outcomes {
        assert_eq!(outcome.code, 0, "{outcome:#?}");
        let answer: Value = serde_json::from_str(&outcome.stdout)?;
        ids.insert(answer["experiment_id"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(ids.len(), 10);
    let list = cluster.json(&["list", "--limit", "100"])?;
    let names: HashSet<_> = list["jobs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|job| format!("{}/{}", job["experiment"], job["name"]))
        .collect();
    assert_eq!(names.len(), 20, "{list:#}");

    // The same content again is the same jobs, not new ones.
    let again = cluster.json(&["submit", &files[0].to_string_lossy()])?;
    assert!(again["jobs"].as_array().is_some_and(|jobs| jobs.iter().all(|job| job["reused"] == true)), "{again:#}");

    let first = "many-0";
    cluster.wait_succeeded(first, Duration::from_secs(120));
    for command in [
        &["status"][..],
        &["list"],
        &["show", first],
        &["results"],
        &["results", first, "--best", "linear_accuracy"],
        &["cancel", "many-9"],
        &["submit", "--dry-run", &files[1].to_string_lossy()],
    ] {
        cluster.json(command)?;
    }
    let out = cluster.folder().join("fetched");
    let fetched = cluster.json(&["fetch", first, "--out", &out.to_string_lossy()])?;
    assert!(!fetched.to_string().is_empty() && std::fs::read_dir(&out)?.count() >= 1, "{fetched:#}");
    for lines in [&["logs", first][..], &["watch", first]] {
        let outcome = cluster.tandem(&[&["--json"], lines].concat(), "");
        for line in outcome.stdout.lines() {
            serde_json::from_str::<Value>(line)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_lists_the_services() -> anyhow::Result<()> {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(1)).await??;
    let address = cluster.json(&["status"])?["server"].as_str().unwrap_or_default().to_owned();
    let mut client = ServerReflectionClient::new(tonic::transport::Endpoint::new(address)?.connect().await?);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    let answer = answers.next().await.expect("one answer")?;
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let names: HashSet<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in
        ["tandem.v1.Jobs", "tandem.v1.Results", "tandem.v1.Fleet", "tandem.v1.Workers", "grpc.health.v1.Health"]
    {
        assert!(names.contains(service), "{service} is not in {names:?}");
    }
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    Ok(())
}

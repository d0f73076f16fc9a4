//! What the buttons of the page do with jobs and devices.

use tandem_harness::TestDatabase;
use uuid::Uuid;

use crate::{
    fake_worker::FakeWorker,
    page::{add, experiment, logged_in, submit_as},
    server::Server,
};

#[tokio::test]
async fn jobs_are_paused_resumed_reprioritised_and_asked_for_again_by_whose_they_are() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let (ann, bob) = (add(&server, "ann", "submitter").await.secret, add(&server, "bob", "submitter").await.secret);
    let submitted = submit_as(&server, &ann, &experiment("mine", 1)).await;
    let encoder = submitted.jobs[0].job_id.clone();
    let (mut anns, mut bobs) = (logged_in(&server, &ann).await, logged_in(&server, &bob).await);
    let path = format!("/jobs/{encoder}");
    let state = || database.value::<String>(&format!("SELECT state::text FROM jobs WHERE id = '{encoder}'"));
    let fields = [("target", encoder.as_str()), ("back", path.as_str())];

    let seen = bobs.post("/actions/pause", &fields).await;
    assert_eq!((seen.code, state().as_str()), (403, "queued"), "{seen:?}");
    assert!(!bobs.get(&path).await.body.contains("/actions/"), "there is no button for who may not");

    let seen = anns.post("/actions/pause", &fields).await;
    assert_eq!((seen.code, seen.header("location"), state().as_str()), (303, path.as_str(), "paused"), "{seen:?}");
    let page = anns.get(&path).await;
    assert!(page.body.contains("Paused mine/encoder.") && page.body.contains("/actions/resume"), "{page:?}");
    assert!(page.body.contains("max=\"10\""), "what the policy lets a submitter give: {page:?}");
    anns.post("/actions/resume", &fields).await;
    assert_eq!(state(), "queued");

    let seen = anns.post("/actions/priority", &[fields[0], fields[1], ("priority", "7")]).await;
    assert_eq!(seen.code, 303, "{seen:?}");
    let priority = || database.value::<i32>(&format!("SELECT priority FROM jobs WHERE id = '{encoder}'"));
    assert_eq!(priority(), 7);
    for wrong in ["", "many", "101"] {
        let seen = anns.post("/actions/priority", &[fields[0], fields[1], ("priority", wrong)]).await;
        assert!((400..404).contains(&seen.code) && priority() == 7, "{wrong}: {seen:?}");
    }

    anns.post("/actions/cancel", &fields).await;
    let page = anns.get(&path).await;
    assert!(page.body.contains("/actions/requeue") && !page.body.contains("/actions/pause"), "{page:?}");
    anns.post("/actions/requeue", &fields).await;
    assert_eq!(state(), "queued");
    let audited: Vec<String> = database.values(
        "SELECT what FROM audit WHERE who = 'ann' AND what LIKE 'Jobs/%' AND outcome NOT LIKE 'refused%' ORDER BY at",
    );
    assert_eq!(
        audited,
        ["Jobs/Submit", "Jobs/Pause", "Jobs/Resume", "Jobs/SetPriority", "Jobs/Cancel", "Jobs/Requeue"]
    );
}

#[tokio::test]
async fn a_device_is_held_and_given_back_from_the_box_and_a_reader_has_no_button() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let _worker = FakeWorker::register(&server, "gpu-0", Uuid::new_v4(), Vec::new()).await;
    let (ann, eve) = (add(&server, "ann", "submitter").await.secret, add(&server, "eve", "reader").await.secret);
    let (mut anns, mut eves) = (logged_in(&server, &ann).await, logged_in(&server, &eve).await);
    let worker: String = database.value("SELECT name FROM workers");
    let hold = [("target", worker.as_str()), ("back", "/"), ("time", "2h"), ("reason", "a <b>notebook</b>")];

    assert!(!eves.get("/").await.body.contains("/actions/hold"));
    assert_eq!(eves.post("/actions/hold", &hold).await.code, 403);
    assert_eq!(anns.post("/actions/hold", &[hold[0], hold[1], ("time", "soon")]).await.code, 400);
    assert_eq!(anns.post("/actions/drain", &hold).await.code, 403, "that is for admins");

    let seen = anns.post("/actions/hold", &hold).await;
    assert_eq!(seen.code, 303, "{seen:?}");
    let page = anns.get("/").await;
    assert!(page.body.contains("is yours for 2h.") && page.body.contains("held"), "{page:?}");
    assert!(page.body.contains("a &#60;b&#62;notebook") && !page.body.contains("<b>notebook"), "{page:?}");
    // She holds as many as the policy allows, and may give this one back; who has it not may do neither.
    assert!(page.body.contains("/actions/unhold") && !page.body.contains("/actions/hold"), "{page:?}");
    let bob = add(&server, "bob", "submitter").await.secret;
    let mut bobs = logged_in(&server, &bob).await;
    let page = bobs.get("/").await;
    assert!(!page.body.contains("/actions/unhold"), "there is no button for who may not: {page:?}");
    assert_eq!(bobs.post("/actions/unhold", &hold[..2]).await.code, 403);
    let root = add(&server, "root2", "admin").await.secret;
    let page = logged_in(&server, &root).await.get("/").await;
    assert!(page.body.contains("/actions/unhold") && page.body.contains("/actions/drain"), "{page:?}");
    anns.post("/actions/unhold", &hold[..2]).await;
    assert_eq!(database.value::<i64>("SELECT count(*) FROM workers WHERE held_until IS NOT NULL"), 0);
}

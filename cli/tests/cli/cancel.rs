use tandem_proto::v1::{JobState, SharedJob, Submission};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

fn shared(cancelled: bool) -> Vec<SharedJob> {
    let wanted_by = ["ann", "bob"].map(|owner| Submission {
        id: format!("{owner}-0000-0000"),
        name: "can".to_owned(),
        owner: owner.to_owned(),
    });
    vec![SharedJob { name: "enc".to_owned(), cancelled, wanted_by: wanted_by.to_vec(), ..SharedJob::default() }]
}

#[tokio::test]
async fn a_job_that_goes_on_is_said_and_is_no_success() {
    let (server, script) = Coordinator::start(Script { shared: shared(false), ..Script::default() }).await;
    let cancel = run(&server, &["cancel", "can"]).await;
    assert_eq!(cancel.code(), Some(1));
    assert!(
        cancel.stderr().contains("`enc` goes on") && cancel.stderr().contains("tandem cancel"),
        "{}",
        cancel.stderr()
    );
    assert!(!cancel.stderr().contains("had ended"), "{}", cancel.stderr());
    assert_eq!(script.lock().unwrap().cancels.len(), 1);

    let json = run(&server, &["cancel", "can", "--json"]).await;
    assert_eq!(json.code(), Some(1));
    assert_eq!(json.json()["shared"][0]["wanted_by"][0]["owner"], "ann");
}

#[tokio::test]
async fn a_job_that_is_cancelled_for_others_too_is_said() {
    let jobs = vec![job("enc", JobState::Cancelled)];
    let (server, _) = Coordinator::start(Script { jobs, shared: shared(true), ..Script::default() }).await;
    let cancel = run(&server, &["cancel", "can/enc"]).await;
    assert_eq!(cancel.code(), Some(0), "{}", cancel.stderr());
    assert!(cancel.stderr().contains("cancelled for all that wanted it"), "{}", cancel.stderr());
}

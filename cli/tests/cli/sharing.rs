//! What people do with their jobs and the devices, and how the house is shared.

use std::fs;

use chrono::{TimeDelta, Utc};
use tandem_proto::{
    convert::timestamp,
    v1::{self, JobState, Start, Why, WhyResponse},
};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

#[tokio::test]
async fn what_is_changed_is_shown_and_what_goes_on_is_an_exit_code() {
    let jobs = vec![job("encoder", JobState::Paused)];
    let (server, script) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    for (args, asked) in [
        (vec!["pause", "quickstart"], "PauseRequest { target: \"quickstart\" }"),
        (vec!["resume", "quickstart"], "ResumeRequest { target: \"quickstart\" }"),
        (vec!["requeue", "q", "--max-time", "1d12h"], "RequeueRequest { target: \"q\", max_seconds: Some(129600) }"),
        (vec!["priority", "q", "-5"], "SetPriorityRequest { target: \"q\", priority: -5 }"),
    ] {
        let ran = run(&server, &args).await;
        assert_eq!(ran.code(), Some(0), "{args:?}: {}", ran.stderr());
        assert!(ran.stdout().contains("encoder") && ran.stdout().contains("paused"), "{args:?}: {}", ran.stdout());
        assert_eq!(script.lock().unwrap().asked.pop().unwrap(), asked);
    }
    script.lock().unwrap().notes = vec!["`encoder` goes on".to_owned()];
    let ran = run(&server, &["pause", "quickstart", "--json"]).await;
    assert_eq!((ran.code(), ran.stderr()), (Some(1), "`encoder` goes on\n"));
    assert_eq!(ran.json()["jobs"][0]["state"], "paused");
    assert_eq!(run(&server, &["requeue", "q", "--max-time", "5 fortnights"]).await.code(), Some(2));
}

#[tokio::test]
async fn a_device_is_taken_for_a_while() {
    let with = Script { running: "quickstart/encoder".to_owned(), ..Script::default() };
    let (server, script) = Coordinator::start(with).await;
    let held = run(&server, &["hold", "gpu-3", "2h", "--reason", "a notebook"]).await;
    assert_eq!(held.code(), Some(0), "{}", held.stderr());
    assert!(held.stderr().contains("gpu-3 is yours until"), "{}", held.stderr());
    assert!(held.stderr().contains("`quickstart/encoder` runs there to its end; sooner: tandem hold gpu-3 .. --now"));
    assert!(script.lock().unwrap().asked[0].contains("seconds: 7200, reason: \"a notebook\", now: false"));
    let now = run(&server, &["drain", "gpu-3", "--now"]).await;
    assert!(now.stderr().contains("stops there at a checkpoint"), "{}", now.stderr());
    let back = run(&server, &["unhold", "gpu-3"]).await;
    assert!(back.stderr().contains("gpu-3 is drained by root, and still gets none"), "{}", back.stderr());
    assert!(run(&server, &["undrain", "gpu-3"]).await.stderr().contains("gpu-3 was not drained"));
    assert_eq!(run(&server, &["hold", "gpu-3", "soon"]).await.code(), Some(2));
}

#[tokio::test]
async fn a_policy_is_set_shown_and_listed() {
    let policy = v1::Policy { version: 3, toml: "# ours".to_owned(), set_by: "root".to_owned(), ..Default::default() };
    let (server, script) = Coordinator::start(Script::default()).await;
    let shown = run(&server, &["policy", "show"]).await;
    assert_eq!(shown.stdout(), "# nobody has set a policy: this is what holds then\n[fair_share]\n");
    script.lock().unwrap().policies = vec![policy];
    let shown = run(&server, &["policy", "show", "--written"]).await;
    assert!(shown.stdout().starts_with("# version 3, set by root at ") && shown.stdout().contains("# ours"));
    script.lock().unwrap().policies[0].changes =
        vec!["limits.hold: \"2h\", was \"12h\"".to_owned(), "people.ann.hold: ..".to_owned()];
    let history = run(&server, &["policy", "history"]).await;
    let lines: Vec<&str> = history.stdout().lines().map(str::trim).collect();
    assert!(lines[1].starts_with("3") && lines[1].ends_with("limits.hold: \"2h\", was \"12h\""), "{lines:?}");
    assert_eq!(lines[2], "people.ann.hold: ..");
    assert!(run(&server, &["policy", "show", "3"]).await.stdout().starts_with("# version 3"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.toml");
    let file_name = file.to_str().unwrap();
    fs::write(&file, "[limits]").unwrap();
    let set = run(&server, &["policy", "set", file_name]).await;
    let said = "limits.queued_jobs: 3, was 5\nversion 4 of the policy is in force\nnobody here is called `zoe`\n";
    assert_eq!(set.stderr(), said);
    assert_eq!(script.lock().unwrap().policy_files.pop().unwrap(), file_name);
    let dry = run(&server, &["policy", "set", file_name, "--dry-run"]).await;
    assert_eq!(
        (dry.code(), dry.stderr()),
        (
            Some(0),
            said.replace("version 4 of the policy is in force", "the policy is right; nothing was changed").as_str()
        )
    );
    fs::write(&file, "wrong").unwrap();
    let wrong = run(&server, &["policy", "set", file_name]).await;
    assert_eq!(wrong.code(), Some(2), "{}", wrong.stderr());
    assert!(wrong.stderr().contains("the policy is wrong: line 1"), "{}", wrong.stderr());
    let absent = run(&server, &["policy", "set", "/nonexistent"]).await;
    assert!(absent.code() != Some(0) && absent.stderr().contains("cannot read a policy file"), "{}", absent.stderr());
}

#[tokio::test]
async fn usage_says_from_when_on_it_is_if_that_is_later_than_asked() {
    let usage_since = Some(timestamp(Utc::now() - TimeDelta::days(400)));
    let (server, script) = Coordinator::start(Script { usage_since, ..Script::default() }).await;
    let cut = run(&server, &["usage", "--since", "2020-01-01"]).await;
    assert!(cut.stderr().contains("longer ago is not kept by day"), "{}", cut.stderr());
    script.lock().unwrap().usage_since = Some(timestamp(Utc::now() - TimeDelta::days(7)));
    let whole = run(&server, &["usage", "--since", "7d"]).await;
    assert_eq!(whole.stderr(), "no job has had a device since then\n");
}

#[tokio::test]
async fn why_says_the_place_who_is_before_and_when() {
    let moment = |minutes: i64| Some(timestamp(Utc::now() + TimeDelta::seconds(60 * minutes + 30)));
    let start = Start { at: moment(25), early: moment(20), late: moment(40) };
    let before = v1::Before {
        name: "b/encoder".to_owned(),
        owner: "bob".to_owned(),
        why: "came first".to_owned(),
        ..Default::default()
    };
    let why = Why {
        job: Some(job("encoder", JobState::Queued)),
        place: 3,
        line: 7,
        reason: "waits for 1 cuda worker".to_owned(),
        start: Some(start),
        before: vec![before],
    };
    let share = |person: &str, device_hours| v1::Share {
        person: person.to_owned(),
        device_hours,
        weight: 1.0,
        ..Default::default()
    };
    let answer =
        WhyResponse { jobs: vec![why], shares: vec![share("ann", 1.0), share("bob", 20.5)], ..Default::default() };
    let (server, script) = Coordinator::start(Script { why: answer, ..Script::default() }).await;
    let said = run(&server, &["why", "quickstart"]).await;
    let text = said.stdout();
    assert!(text.contains("quickstart/encoder is queued, 3 of 7 in line\n  waits for 1 cuda worker\n"), "{text}");
    assert!(text.contains("  expected to start in about 25 min "), "{text}");
    assert!(text.contains("  before it (and 1 more before these):\n    b/encoder of bob: came first\n"), "{text}");
    assert!(text.contains("20.5 h") && text.contains("no policy is set"), "{text}");
    assert_eq!(run(&server, &["why", "quickstart", "--json"]).await.json()["jobs"][0]["place"], 3);
    script.lock().unwrap().why = WhyResponse::default();
    assert_eq!(run(&server, &["why", "quickstart"]).await.stderr(), "all its jobs have ended\n");
}

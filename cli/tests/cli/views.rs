//! `tandem view`, and `--view` where questions are asked.

use serde_json::Value;
use tandem_proto::v1::AskDirection;

use crate::{
    coordinator::{Coordinator, Script},
    run,
};

#[tokio::test]
async fn a_question_is_saved_as_it_would_be_asked_and_asked_by_its_name() {
    let (server, script) = Coordinator::start(Script::default()).await;
    let save = [
        "view",
        "save",
        "probes",
        "table1",
        "--where",
        "stage = 'linear'",
        "--mine",
        "--by",
        "encoder,seed",
        "--best",
        "loss",
        "--ascending",
    ];
    let saved = run(&server, &save).await;
    assert_eq!(
        (saved.code(), saved.stdout()),
        (Some(0), "saved: tandem results --view probes\n"),
        "{}{}",
        saved.stdout(),
        saved.stderr()
    );
    let question = script.lock().unwrap().views[0].question.clone().unwrap();
    assert_eq!(
        (question.target.as_str(), question.r#where.as_str(), question.mine),
        ("table1", "stage = 'linear'", true)
    );
    assert_eq!(
        (question.by.len(), question.order.as_str(), question.direction()),
        (2, "loss", AskDirection::Ascending)
    );
    assert_eq!((question.limit, question.view.as_str(), question.cursor.as_str()), (0, "", ""));
    let again = run(&server, &["view", "save", "probes"]).await;
    assert!(again.stdout().starts_with("replaced: "), "{}{}", again.stdout(), again.stderr());

    run(&server, &["results", "--view", "bob/probes", "--where", "seed = 1"]).await;
    run(&server, &["results", "--view", "probes", "--out", "-", "--format", "csv"]).await;
    let asked = script.lock().unwrap().questions.clone();
    assert_eq!((asked[0].view.as_str(), asked[0].r#where.as_str()), ("bob/probes", "seed = 1"));
    assert_eq!(asked[1].view, "probes");

    let listed = run(&server, &["view", "list", "--json"]).await;
    let json: Value = serde_json::from_str(listed.stdout()).unwrap();
    assert_eq!((&json["views"][0]["name"], &json["views"][0]["owner"]), (&"probes".into(), &"ada".into()), "{json}");
    let removed = run(&server, &["view", "rm", "probes"]).await;
    assert_eq!((removed.code(), removed.stdout()), (Some(0), "removed probes\n"));
    let absent = run(&server, &["view", "rm", "probes"]).await;
    assert_ne!(absent.code(), Some(0));
    assert!(absent.stderr().contains("there is no view `probes`"), "{}{}", absent.stdout(), absent.stderr());
    let none = run(&server, &["view", "list"]).await;
    assert!(
        none.stdout().is_empty() && none.stderr().contains("tandem view save NAME"),
        "{}{}",
        none.stdout(),
        none.stderr()
    );
}

#[tokio::test]
async fn what_a_view_cannot_be_beside_is_refused() {
    let (server, _) = Coordinator::start(Script::default()).await;
    for args in [
        &["results", "table1", "--table", "--view", "probes"][..],
        &["results", "quick", "--plot", "x.svg", "--view", "probes"],
        &["list", "--experiments", "--view", "probes"],
        &["view", "save", "x", "--view", "probes"],
        &["view", "save", "x", "--by", "seed", "--columns", "job"],
    ] {
        assert_eq!(run(&server, args).await.code(), Some(2), "{args:?}");
    }
}

//! `tandem notify`, and the targets of the scripted coordinator.

use tandem_proto::v1::{
    ListNotifyRequest, ListNotifyResponse, NotifyTarget, RemoveNotifyRequest, RemoveNotifyResponse, SetNotifyRequest,
    SetNotifyResponse, TestNotifyRequest, TestNotifyResponse, notify_server::Notify,
};
use tonic::{Request, Response, Status};

use crate::coordinator::{Answer, Coordinator, Script};

#[tonic::async_trait]
impl Notify for Coordinator {
    async fn list(&self, _: Request<ListNotifyRequest>) -> Answer<ListNotifyResponse> {
        Ok(Response::new(ListNotifyResponse { targets: self.script().targets.clone() }))
    }

    async fn set(&self, request: Request<SetNotifyRequest>) -> Answer<SetNotifyResponse> {
        let SetNotifyRequest { kind, address, on, all } = request.into_inner();
        let secret = if kind == "webhook" { "whsec_00".to_owned() } else { String::new() };
        let target = NotifyTarget { id: "3f2a9c01".to_owned(), kind, address, on, all, ..NotifyTarget::default() };
        self.script().targets.push(target.clone());
        Ok(Response::new(SetNotifyResponse { target: Some(target), secret }))
    }

    async fn remove(&self, request: Request<RemoveNotifyRequest>) -> Answer<RemoveNotifyResponse> {
        let id = request.into_inner().id;
        let found = self.script().targets.iter().position(|target| target.id == id);
        let found = found.ok_or_else(|| Status::not_found(format!("you have no target {id:?}")))?;
        Ok(Response::new(RemoveNotifyResponse { target: Some(self.script().targets.remove(found)) }))
    }

    async fn test(&self, _: Request<TestNotifyRequest>) -> Answer<TestNotifyResponse> {
        Ok(Response::new(self.script().tested.clone()))
    }
}

#[tokio::test]
async fn one_adds_lists_and_removes_where_one_is_told() {
    let (server, script) = Coordinator::start(Script::default()).await;
    let run = async |args: &[&str]| crate::run(&server, args).await;
    let added = run(&["notify", "add", "webhook", "https://hook.lab/x", "--on", "failed,waits:60m"]).await;
    assert_eq!((added.code(), added.stdout()), (Some(0), "whsec_00\n"));
    assert!(added.stderr().contains("tandem notify test 3f2a9c01") && !added.stderr().contains("whsec"));
    assert_eq!(script.lock().unwrap().targets[0].on, "failed,waits:1h");
    let listed = run(&["notify", "list"]).await;
    assert!(listed.stdout().contains("https://hook.lab/x") && !listed.stdout().contains("whsec"));
    let json = run(&["notify", "list", "--json"]).await.json();
    assert_eq!(json["targets"][0]["on"], "failed,waits:1h");
    let removed = run(&["notify", "remove", "3f2a9c01"]).await;
    assert!(removed.code() == Some(0) && removed.stderr().contains("https://hook.lab/x"), "{}", removed.stderr());
    assert_eq!(run(&["notify", "remove", "3f2a9c01"]).await.code(), Some(66));
    assert!(run(&["notify", "list"]).await.stderr().contains("tandem notify add mail"));
}

#[tokio::test]
async fn what_is_no_address_is_told_before_anybody_is_asked() {
    let run = async |args: &[&str]| crate::run("http://127.0.0.1:1", args).await;
    for (kind, address) in
        [("webhook", "ftp://x/"), ("webhook", "https://a:b@x/"), ("mail", "ann"), ("mail", "a@b\nBcc:c@d")]
    {
        let refused = run(&["notify", "add", kind, address]).await;
        assert!(refused.code() == Some(2) && refused.stderr().contains("no address"), "{}", refused.stderr());
    }
    let refused = run(&["notify", "add", "mail", "a@b", "--on", "tomorrow"]).await;
    assert!(refused.code() == Some(2) && refused.stderr().contains("waits:TIME"), "{}", refused.stderr());
}

#[tokio::test]
async fn a_test_says_how_it_went_in_words_and_by_its_exit_code() {
    for (state, error, code, words) in [
        ("sent", "", 0, "sent: look there"),
        (
            "pending",
            "the receiver\u{1b}[2J answers 500",
            75,
            "tried again for a day: the receiver\u{fffd}[2J answers 500",
        ),
        ("pending", "", 75, "no coordinator leads"),
        ("given up", "the receiver answers 410", 78, "not sent: the receiver answers 410"),
    ] {
        let tested = TestNotifyResponse { state: state.to_owned(), error: error.to_owned() };
        let (server, _) = Coordinator::start(Script { tested, ..Script::default() }).await;
        let tested = crate::run(&server, &["notify", "test", "3f2a9c01"]).await;
        assert!(tested.code() == Some(code) && tested.stderr().contains(words), "{}", tested.stderr());
    }
}

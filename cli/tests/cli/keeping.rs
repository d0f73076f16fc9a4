//! Tags, notes, what is archived, deleted or goes by age, and who has how much in the store.

use tandem_proto::v1::{
    self, CleanRequest, CleanResponse, Cleaned, DeleteRequest, DeleteResponse, GoneJob, JobState, StayingJob, Stays,
    StoredBy, StoredResponse, Submission, keeping_server::Keeping,
};
use tonic::{Request, Response, Status};

use crate::{
    coordinator::{Answer, Coordinator, Script, job},
    run,
};

#[tonic::async_trait]
impl Keeping for Coordinator {
    async fn tag(&self, request: Request<v1::TagRequest>) -> Answer<v1::LabelResponse> {
        let request = request.into_inner();
        self.script().asked.push(format!("{request:?}"));
        let tags = if request.remove { Vec::new() } else { request.words };
        let one = v1::Labelled { name: request.target, tags, ..Default::default() };
        Ok(Response::new(v1::LabelResponse { changed: vec![one] }))
    }

    async fn note(&self, request: Request<v1::NoteRequest>) -> Answer<v1::LabelResponse> {
        let request = request.into_inner();
        if request.text.contains('\u{202e}') {
            return Err(Status::invalid_argument("a note is one line of text; this one holds `\\u{202e}`"));
        }
        let note = Some(v1::Note { text: request.text, who: "ann".to_owned(), at: None });
        let one = v1::Labelled { name: request.target, note, ..Default::default() };
        Ok(Response::new(v1::LabelResponse { changed: vec![one] }))
    }

    async fn archive(&self, request: Request<v1::ArchiveRequest>) -> Answer<v1::ArchiveResponse> {
        let name = request.into_inner().target;
        let one = Submission { id: "e-1".to_owned(), name, owner: "ann".to_owned() };
        Ok(Response::new(v1::ArchiveResponse { experiments: vec![one] }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answer<DeleteResponse> {
        let request = request.into_inner();
        let mut script = self.script();
        script.asked.push(format!("{request:?}"));
        Ok(Response::new(DeleteResponse { dry_run: request.dry_run, ..script.deleted.clone() }))
    }

    async fn clean(&self, request: Request<CleanRequest>) -> Answer<CleanResponse> {
        let mut script = self.script();
        script.asked.push(format!("{:?}", request.into_inner()));
        Ok(Response::new(script.cleaned.pop_front().unwrap_or_default()))
    }

    async fn would_clean(&self, request: Request<CleanRequest>) -> Answer<CleanResponse> {
        let mut script = self.script();
        script.asked.push(format!("would: {:?}", request.into_inner()));
        Ok(Response::new(script.cleaned.pop_front().unwrap_or_default()))
    }

    async fn stored(&self, _: Request<v1::StoredRequest>) -> Answer<StoredResponse> {
        Ok(Response::new(self.script().in_store.clone()))
    }
}

fn delete(target: &str, dry_run: bool, cancel: bool) -> String {
    format!("{:?}", DeleteRequest { target: target.to_owned(), dry_run, cancel, for_all: false })
}

fn deleted() -> DeleteResponse {
    DeleteResponse {
        experiments: vec![Submission { id: "e-1".to_owned(), name: "quickstart".to_owned(), owner: "ann".to_owned() }],
        gone: vec![GoneJob {
            job_id: "7f".to_owned(),
            name: "linear".to_owned(),
            files: 3,
            bytes: 4_000_000,
            cancelled: false,
        }],
        stays: vec![StayingJob {
            job_id: "8f".to_owned(),
            name: "encoder\u{1b}[2J".to_owned(),
            why: vec!["bob's `table\u{202e}1` has it".to_owned()],
        }],
        files: 3,
        bytes: 4_000_000,
        targets: vec!["11111111-2222-3333-4444-555555555555".to_owned()],
        ..DeleteResponse::default()
    }
}

#[tokio::test]
async fn a_name_is_looked_at_and_what_it_means_is_deleted_by_its_id() {
    let (server, script) = Coordinator::start(Script { deleted: deleted(), ..Script::default() }).await;
    let id = "11111111-2222-3333-4444-555555555555";
    let ran = run(&server, &["delete", "quickstart", "--yes", "--cancel"]).await;
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    assert_eq!(asked, [delete("quickstart", true, true), delete(id, false, true)]);
    let text = ran.stdout();
    assert!(
        text.contains("quickstart of ann") && text.contains("went: 1 jobs, 3 files") && text.contains("bob's `table")
    );
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");

    let dry = run(&server, &["delete", "quickstart", "--dry-run"]).await;
    assert!(dry.stdout().contains("would go") && dry.code() == Some(0), "{}", dry.stdout());
    assert_eq!(script.lock().unwrap().asked.len(), 1, "a dry run asks, and changes nothing");
    let json = run(&server, &["delete", "quickstart", "--dry-run", "--json"]).await.json();
    assert_eq!((&json["dry_run"], &json["gone"][0]["bytes"]), (&true.into(), &4_000_000.into()));
}

#[tokio::test]
async fn a_script_that_does_not_say_yes_deletes_nothing() {
    let (server, script) = Coordinator::start(Script { deleted: deleted(), ..Script::default() }).await;
    for args in [&["delete", "quickstart"][..], &["delete", "quickstart", "--json"]] {
        let ran = run(&server, args).await;
        assert_eq!(ran.code(), Some(2));
        assert!(ran.stderr().contains("--dry-run") && ran.stderr().contains("--yes"), "{}", ran.stderr());
    }
    assert!(script.lock().unwrap().asked.is_empty());
}

#[tokio::test]
async fn tags_and_notes_are_checked_here_and_told() {
    let (server, script) = Coordinator::start(Script::default()).await;
    let ran = run(&server, &["tag", "quickstart", "camera-ready", "v2"]).await;
    assert_eq!(ran.stdout(), "quickstart: tags camera-ready, v2\n", "{}", ran.stderr());
    assert_eq!(run(&server, &["tag", "quickstart", "v2", "--remove"]).await.stdout(), "quickstart: no tags\n");
    for wrong in ["a b", "a\u{1b}[2J", "\u{202e}x"] {
        let ran = run(&server, &["tag", "quickstart", wrong]).await;
        assert_eq!(ran.code(), Some(2), "{wrong:?}");
        assert!(!ran.stderr().contains('\u{1b}'), "{:?}", ran.stderr());
    }
    assert_eq!(script.lock().unwrap().asked.len(), 2);
    let noted = run(&server, &["note", "quickstart", "for the camera-ready"]).await;
    assert_eq!(noted.stdout(), "quickstart: no tags; note: for the camera-ready\n");
    let wrong = run(&server, &["note", "quickstart", "a\u{202e}b"]).await;
    assert!(wrong.code() == Some(2) && wrong.stderr().contains("one line of text"), "{}", wrong.stderr());
    let archived = run(&server, &["archive", "quickstart"]).await;
    assert_eq!(archived.stdout(), "quickstart of ann is archived (e-1)\n");
    let back = run(&server, &["archive", "quickstart", "--undo"]).await;
    assert!(back.stdout().contains("is in the lists again"), "{}", back.stdout());
}

#[tokio::test]
async fn tags_of_jobs_have_a_column_where_there_are_any() {
    let tagged = v1::Job { tags: vec!["best".to_owned(), "v2".to_owned()], ..job("encoder", JobState::Succeeded) };
    let jobs = vec![tagged, job("linear", JobState::Succeeded)];
    let (server, script) = Coordinator::start(Script { jobs, ..Script::default() }).await;
    let listed = run(&server, &["list", "--tag", "best"]).await;
    assert!(listed.stdout().contains("TAGS") && listed.stdout().contains("best, v2"), "{}", listed.stdout());
    script.lock().unwrap().jobs.remove(0);
    assert!(!run(&server, &["list"]).await.stdout().contains("TAGS"));
    script.lock().unwrap().jobs.clear();
    assert_eq!(run(&server, &["list", "--tag", "x"]).await.stderr(), "no such jobs with the tag `x`\n");
    let ran = run(&server, &["list", "--experiments", "--archived", "--tag", "x"]).await;
    assert_eq!(ran.stderr(), "no such experiments\n");
    let asked = script.lock().unwrap().experiments_asked.pop().unwrap();
    assert!(asked.archived && asked.tag == "x", "{asked:?}");
}

#[tokio::test]
async fn cleaning_asks_until_all_is_looked_at() {
    let step = |what: &str, after: &str| CleanResponse {
        kinds: vec![Cleaned {
            what: what.to_owned(),
            objects: 2,
            items: 5,
            bytes: 1_000_000,
            stays: vec![Stays { why: "tagged".to_owned(), count: 1 }],
        }],
        after: after.to_owned(),
        policy_version: 3,
    };
    let steps = || [step("checkpoints", "a"), step("checkpoints", "b"), step("delete", "")];
    let (server, script) = Coordinator::start(Script { cleaned: steps().into(), ..Script::default() }).await;
    let ran = run(&server, &["clean", "--dry-run"]).await;
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr());
    for part in ["10 checkpoints of 4 jobs", "1.9 MiB", "2 tagged", "2 experiments, 5 jobs"] {
        assert!(ran.stdout().contains(part), "{part} in {}", ran.stdout());
    }
    let asked = std::mem::take(&mut script.lock().unwrap().asked);
    let would = ["", "a", "b"].map(|after| format!("would: {:?}", CleanRequest { after: after.to_owned() }));
    assert_eq!(asked, would);
    script.lock().unwrap().cleaned = steps().into();
    let json = run(&server, &["clean", "--json"]).await.json();
    assert_eq!((&json["kinds"][0]["items"], &json["policy_version"]), (&10.into(), &3.into()));
    assert!(script.lock().unwrap().asked.iter().all(|asked| !asked.starts_with("would")));
    let nothing = run(&server, &["clean", "--dry-run"]).await;
    assert!(nothing.stderr().contains("nothing goes by age"), "{}", nothing.stderr());
}

#[tokio::test]
async fn who_has_how_much_in_the_store() {
    let people = vec![StoredBy { person: "ann".to_owned(), bytes: 3_000_000, limit_bytes: Some(5_000_000) }];
    let in_store = StoredResponse { people, ..StoredResponse::default() };
    let (server, script) = Coordinator::start(Script { in_store, ..Script::default() }).await;
    let ran = run(&server, &["usage", "--stored"]).await;
    assert!(ran.stdout().contains("2.9 MiB") && ran.stdout().contains("4.8 MiB"), "{} {}", ran.stdout(), ran.stderr());
    assert_eq!(run(&server, &["usage", "--stored", "--since", "7d"]).await.code(), Some(2));
    script.lock().unwrap().in_store = StoredResponse::default();
    assert_eq!(run(&server, &["usage", "--stored"]).await.stderr(), "no job has files in the store\n");
}

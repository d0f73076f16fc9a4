//! A receipt shown, written beside files, and checked without a coordinator: on honest ones and on altered ones.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::json;
use tandem_domain::receipt::{Envelope, File, PublicKey, Receipt, Statement, bundle, model_signature, pae, sha256};
use tandem_proto::v1::{Artifact, JobState, ReceiptDifference, ReceiptResponse, ShowResponse};

use crate::{
    coordinator::{Coordinator, Script, job},
    run,
};

const BYTES: &[u8] = b"the weights";
const FILE: &str = "encoder.safetensors";
/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:1";

/// A house's key, and what it signs.
pub(crate) struct House(KeyPair);

impl House {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    fn key(&self) -> PublicKey {
        PublicKey::from_spki(&self.0.subject_public_key_info()).unwrap()
    }

    fn envelope(&self, receipt: Receipt) -> String {
        let payload = Statement::new(receipt).to_json().unwrap();
        let signature = self.0.sign(&pae(payload.as_bytes())).unwrap();
        serde_json::to_string(&Envelope::new(payload.as_bytes(), &self.key().id(), &signature)).unwrap()
    }

    /// Of this receipt alone, without files.
    pub(crate) fn says(&self, receipt: Receipt) -> ReceiptResponse {
        ReceiptResponse { envelope: self.envelope(receipt), key: self.key().to_pem(), ..ReceiptResponse::default() }
    }

    fn answer(&self) -> ReceiptResponse {
        let (envelope, key) = (self.envelope(receipt()), self.key().to_pem());
        let files = [(FILE, BYTES), ("receipt.json", envelope.as_bytes()), ("house.pub", key.as_bytes())]
            .map(|(name, bytes)| File { name: name.to_owned(), sha256: sha256(bytes) });
        let statement = model_signature("encoder", &files).unwrap();
        let signature = self.0.sign(&pae(statement.as_bytes())).unwrap();
        ReceiptResponse {
            job_id: "0199a1b2-c3d4-7aaa-8000-000000000001".to_owned(),
            job_name: "encoder".to_owned(),
            envelope,
            house_key: key.clone(),
            key,
            model_signature: bundle(&self.key(), &statement, &signature),
            differences: Vec::new(),
        }
    }
}

pub(crate) fn receipt() -> Receipt {
    let environment = json!({
        "worker": "cpu-0", "host": "box", "device": {"kind": "cpu", "name": "a processor"}, "processor": "a processor",
        "instructions": "AVX2", "libtorch": "2.7.1", "threads": 1, "version": "0.1.0", "binary_sha256": "b".repeat(64),
    });
    let at = "2026-11-30T12:00:00.000001Z";
    serde_json::from_value(json!({
        "format": 1,
        "job": {"id": "0199a1b2-c3d4-7aaa-8000-000000000001", "name": "encoder", "experiment": "quick",
                "stage": "contrastive", "seed": 1, "shards": 2},
        "key": {"content_key": "ab12", "learn_version": "5", "derived": null},
        "spec": {"name": "encoder", "dataset": "shapes", "seed": 1, "workers": {"min": 1, "max": 1}, "shards": 2,
                 "threads": 1, "inputs": [],
                 "stage": {"stage": "contrastive", "encoder": "resnet-tiny", "epochs": 3, "batch_size": 64}},
        "images": "cd34",
        "inputs": [{"job": "before", "content_key": "ef", "receipt_sha256": "e".repeat(64), "artifacts": []}],
        "attempts": [
            {"number": 1, "fence": 7, "state": "lost", "cause": "rank 0 on cpu-0: ended by signal 9", "world_size": 1,
             "first_step": 0, "assigned_at": at, "training_at": at, "ended_at": at, "ranks": []},
            {"number": 2, "fence": 8, "state": "succeeded", "cause": "", "world_size": 1, "first_step": 8,
             "assigned_at": at, "training_at": at, "ended_at": at,
             "ranks": [{"rank": 0, "outcome": "succeeded", "cause": "", "environment": environment}]},
        ],
        "checkpoints_stored": 1,
        "checkpoints": [{"step": 8, "fence": 7, "sha256": "c".repeat(64), "state_sha256": "d".repeat(64)}],
        "artifacts": [{"kind": "encoder", "name": FILE, "bytes": BYTES.len(), "sha256": sha256(BYTES)}],
        "results": {"knn_accuracy": 0.5},
        "times": {"created_at": at, "started_at": at, "finished_at": at},
    }))
    .unwrap()
}

fn script(receipt: Option<ReceiptResponse>) -> Script {
    let artifact = Artifact {
        id: "a-1".to_owned(),
        job_id: job("encoder", JobState::Succeeded).id,
        kind: "encoder".to_owned(),
        name: FILE.to_owned(),
        bytes: BYTES.len() as u64,
        sha256: sha256(BYTES),
        ..Artifact::default()
    };
    let jobs = vec![job("encoder", JobState::Succeeded)];
    let shown = ShowResponse { jobs, artifacts: vec![artifact], ..ShowResponse::default() };
    Script { shown, chunks: vec![BYTES.to_vec()], receipt, ..Script::default() }
}

/// The folder of a job, with what `fetch` writes.
struct Fetched {
    _out: tempfile::TempDir,
    folder: PathBuf,
}

impl Fetched {
    fn path(&self) -> &Path {
        &self.folder
    }
}

async fn fetched(house: &House) -> Fetched {
    let (server, script) = Coordinator::start(script(Some(house.answer()))).await;
    let dir = tempfile::tempdir().unwrap();
    let fetch = run(&server, &["fetch", "x", "--out", dir.path().to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    assert_eq!(script.lock().unwrap().receipts_asked[0].files, [FILE]);
    Fetched { folder: dir.path().join("encoder"), _out: dir }
}

async fn check(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("receipt.json");
    let check = run(NOBODY, &[&["receipt", "check", file.to_str().unwrap()], more].concat()).await;
    (check.code(), format!("{}{}", check.stdout(), check.stderr()))
}

#[tokio::test]
async fn a_receipt_is_shown_in_words_and_as_it_was_signed() {
    let house = House::new();
    let answer = house.answer();
    let (server, _) = Coordinator::start(script(Some(answer.clone()))).await;
    let shown = run(&server, &["receipt", "quick/encoder"]).await;
    assert_eq!(shown.code(), Some(0), "{}", shown.stderr());
    for words in [
        "quick/encoder (contrastive)",
        &house.key().id(),
        "1 on 1 worker, lost: rank 0 on cpu-0: ended by signal 9",
        "2 on 1 worker from step 8, succeeded",
        "cpu a processor of cpu-0 on box",
        "tandem-worker 0.1.0 bbbbbbbbbbbbbbbb, libtorch 2.7.1",
        "images and labels cd34",
        "job before, receipt eeeeeeeeeeeeeeee",
        "knn_accuracy",
        FILE,
    ] {
        assert!(shown.stdout().contains(words), "{words}\n{}", shown.stdout());
    }
    let json = run(&server, &["receipt", "quick/encoder", "--json"]).await;
    assert_eq!(json.json()["payloadType"], "application/vnd.in-toto+json");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("r.json");
    assert_eq!(run(&server, &["receipt", "x", "--out", out.to_str().unwrap()]).await.code(), Some(0));
    assert_eq!(fs::read_to_string(&out).unwrap(), answer.envelope);
    assert_eq!(run(&server, &["receipt", "x", "--out", out.to_str().unwrap()]).await.code(), Some(73));
    let key = run(&server, &["receipt", "key"]).await;
    assert_eq!(key.stdout(), house.key().to_pem());
}

#[tokio::test]
async fn what_the_database_shows_otherwise_is_damage_named_by_its_field() {
    let changed =
        ReceiptDifference { field: "results.knn_accuracy".to_owned(), signed: "0.5".to_owned(), now: "0.9".to_owned() };
    let answer = ReceiptResponse { differences: vec![changed], ..House::new().answer() };
    let (server, _) = Coordinator::start(script(Some(answer))).await;
    let shown = run(&server, &["receipt", "x"]).await;
    assert_eq!(shown.code(), Some(74));
    assert!(shown.stderr().contains("results.knn_accuracy: signed 0.5, now 0.9"), "{}", shown.stderr());
}

#[tokio::test]
async fn a_receipt_that_its_key_did_not_sign_is_not_shown() {
    let answer = ReceiptResponse { key: House::new().key().to_pem(), ..House::new().answer() };
    let (server, _) = Coordinator::start(script(Some(answer))).await;
    let shown = run(&server, &["receipt", "x"]).await;
    assert_eq!((shown.code(), shown.stdout()), (Some(74), ""));
    assert!(shown.stderr().contains("its signature does not match"), "{}", shown.stderr());
}

#[tokio::test]
async fn files_that_were_fetched_are_checked_without_a_coordinator() {
    let house = House::new();
    let dir = fetched(&house).await;
    let (code, said) = check(dir.path(), &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("whole     {FILE}")) && said.contains("is in order"), "{said}");

    // One byte of the file.
    fs::write(dir.path().join(FILE), b"the weighty").unwrap();
    let (code, said) = check(dir.path(), &[]).await;
    assert_eq!(code, Some(74), "{said}");
    assert!(said.contains(&format!("altered   {FILE}")) && said.contains("was signed"), "{said}");
    let (code, said) = check(dir.path(), &["--json"]).await;
    assert!(
        code == Some(74) && said.contains(r#""state":"altered""#) || said.contains(r#""state": "altered""#),
        "{said}"
    );

    // A file that was not fetched is no failure.
    fs::remove_file(dir.path().join(FILE)).unwrap();
    let (code, said) = check(dir.path(), &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("not here  {FILE}")), "{said}");
    fs::remove_file(dir.path().join("house.pub")).unwrap();
    let (code, said) = check(dir.path(), &[]).await;
    assert!(code == Some(66) && said.contains("name the house's key by --key"), "{said}");
}

/// Whatever byte of it is another, wherever it stands.
#[tokio::test]
async fn a_receipt_that_was_altered_by_one_byte_is_found() {
    let house = House::new();
    let dir = fetched(&house).await;
    let path = dir.path().join("receipt.json");
    let signed: Envelope = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let payload = STANDARD.decode(&signed.payload).unwrap();
    let write = |envelope: &Envelope| fs::write(&path, serde_json::to_string(envelope).unwrap()).unwrap();
    for at in (0..payload.len()).step_by(payload.len() / 12) {
        let mut altered = payload.clone();
        altered[at] ^= 1;
        write(&Envelope { payload: STANDARD.encode(&altered), ..signed.clone() });
        let (code, said) = check(dir.path(), &[]).await;
        assert_eq!(code, Some(74), "byte {at}: {said}");
    }
    // What contradicts the rest of it is named.
    let text = String::from_utf8(payload.clone())
        .unwrap()
        .replace("\"seed\":1,\"shards\":2,\"stage\"", "\"seed\":2,\"shards\":2,\"stage\"");
    assert_ne!(text.as_bytes(), payload);
    write(&Envelope { payload: STANDARD.encode(&text), ..signed.clone() });
    let (_, said) = check(dir.path(), &[]).await;
    assert!(said.contains("its signature does not match") && said.contains("another stage, seed"), "{said}");

    let mut other = signed.clone();
    other.signatures[0].keyid = "0".repeat(64);
    write(&other);
    let (code, said) = check(dir.path(), &[]).await;
    assert!(code == Some(74) && said.contains("it names the key 000000000000.."), "{said}");
    let mut other = signed.clone();
    let mut signature = STANDARD.decode(&other.signatures[0].sig).unwrap();
    *signature.last_mut().unwrap() ^= 1;
    other.signatures[0].sig = STANDARD.encode(&signature);
    write(&other);
    assert_eq!(check(dir.path(), &[]).await.0, Some(74));
    fs::write(&path, "{").unwrap();
    let (code, said) = check(dir.path(), &[]).await;
    assert!(code == Some(74) && said.contains("it is no DSSE envelope"), "{said}");
}

#[tokio::test]
async fn who_replaces_the_key_as_well_is_found_by_the_key_that_was_kept() {
    let (house, forger) = (House::new(), House::new());
    let dir = fetched(&house).await;
    let kept = dir.path().join("kept.pub");
    fs::write(&kept, house.key().to_pem()).unwrap();
    let mut forged = receipt();
    forged.results.insert("knn_accuracy".to_owned(), json!(0.99));
    fs::write(dir.path().join("receipt.json"), forger.envelope(forged)).unwrap();
    fs::write(dir.path().join("house.pub"), forger.key().to_pem()).unwrap();
    assert_eq!(check(dir.path(), &[]).await.0, Some(0), "nothing here contradicts it");
    let (code, said) = check(dir.path(), &["--key", kept.to_str().unwrap()]).await;
    assert_eq!(code, Some(74), "{said}");
    assert!(said.contains("its signature does not match"), "{said}");
}

#[tokio::test]
async fn a_name_in_a_receipt_leads_nowhere() {
    let house = House::new();
    let dir = fetched(&house).await;
    let mut outside = receipt();
    outside.artifacts[0].name = "../secret".to_owned();
    fs::write(dir.path().join("receipt.json"), house.envelope(outside)).unwrap();
    let (code, said) = check(dir.path(), &[]).await;
    assert!(code == Some(74) && said.contains("`../secret`, which is refused"), "{said}");
}

#[tokio::test]
async fn a_job_without_a_receipt_is_fetched_all_the_same() {
    let (server, _) = Coordinator::start(script(None)).await;
    let dir = tempfile::tempdir().unwrap();
    let fetch = run(&server, &["fetch", "x", "--out", dir.path().to_str().unwrap()]).await;
    assert_eq!(fetch.code(), Some(0), "{}", fetch.stderr());
    assert!(fetch.stderr().contains("without a receipt: it has no receipt"), "{}", fetch.stderr());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_run_anew_is_said_with_its_steps() {
    let (server, _) = Coordinator::start(Script::default()).await;
    let verify = run(&server, &["verify", "quick/encoder"]).await;
    assert_eq!((verify.code(), verify.stdout()), (Some(0), ""), "{}", verify.stderr());
    assert!(verify.stderr().contains("(verify-0199a1b2) replays steps 8 to 16, below all"), "{}", verify.stderr());
    let reproduce = run(&server, &["reproduce", "quick/encoder", "--json"]).await;
    assert_eq!(reproduce.json()["of_id"], "quick/encoder");
    assert!(reproduce.stderr().contains("runs all of it anew"), "{}", reproduce.stderr());
}

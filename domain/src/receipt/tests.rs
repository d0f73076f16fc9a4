use serde_json::{Value as Json, json};

use super::*;
use crate::plan::content_key;

fn environment() -> Environment {
    Environment {
        worker: "cpu-0".to_owned(),
        device: Device { kind: "cpu".to_owned(), name: "a processor".to_owned(), ..Device::default() },
        processor_features: vec!["avx2".to_owned(), "fma".to_owned()],
        instructions: "AVX2".to_owned(),
        libtorch: "2.11.0".to_owned(),
        threads: 1,
        ..Environment::default()
    }
}

fn artifact(name: &str, digit: &str) -> Artifact {
    Artifact { kind: "encoder".to_owned(), name: name.to_owned(), bytes: 9, sha256: digit.repeat(64) }
}

pub(super) fn receipt() -> Receipt {
    let spec = json!({
        "name": "encoder", "dataset": "shapes", "seed": 1, "workers": {"min": 1, "max": 1}, "shards": 2, "threads": 1,
        "inputs": [], "stage": {"stage": "contrastive", "encoder": "resnet-tiny", "epochs": 3, "batch_size": 64},
    });
    let parsed = serde_json::from_value(spec.clone()).unwrap();
    let at = "2026-11-30T12:00:00.000001Z".parse().unwrap();
    let state =
        |step: u64, digit: &str| Checkpoint { step, fence: 7, sha256: "0".repeat(64), state_sha256: digit.repeat(64) };
    Receipt {
        format: FORMAT,
        job: Job {
            id: "j".to_owned(),
            name: "encoder".to_owned(),
            experiment: "quick".to_owned(),
            stage: "contrastive".to_owned(),
            seed: 1,
            shards: 2,
            reproduces: None,
            replayed: None,
        },
        key: Key {
            content_key: content_key(&parsed, Some("ab12"), &[], "5"),
            learn_version: "5".to_owned(),
            salt: None,
            derived: Some(true),
        },
        spec,
        images: Some("ab12".to_owned()),
        inputs: Vec::new(),
        attempts: vec![Attempt {
            number: 1,
            fence: 7,
            state: "succeeded".to_owned(),
            cause: String::new(),
            world_size: 1,
            first_step: 0,
            assigned_at: at,
            training_at: Some(at),
            ended_at: Some(at),
            ranks: vec![Rank {
                rank: 0,
                outcome: "succeeded".to_owned(),
                cause: String::new(),
                environment: Some(environment()),
            }],
        }],
        checkpoints_stored: 2,
        checkpoints: vec![state(10, "a"), state(20, "b")],
        artifacts: vec![artifact("encoder.safetensors", "e")],
        results: [("knn_accuracy".to_owned(), figure(0.5)), ("seconds".to_owned(), figure(3.25))].into(),
        times: Times { created_at: at, started_at: Some(at), finished_at: Some(at) },
    }
}

#[test]
fn a_statement_comes_back_and_has_one_form() {
    let statement = Statement::new(receipt());
    let text = statement.to_json().unwrap();
    assert_eq!(Statement::parse(text.as_bytes()).unwrap(), statement);
    assert_eq!(Statement::parse(text.as_bytes()).unwrap().to_json().unwrap(), text);
    assert_eq!(statement.subject[0].name, "encoder.safetensors");
    let none = Statement::new(Receipt { artifacts: Vec::new(), ..receipt() });
    assert_eq!(none.subject[0].name, "results");

    let other = text.replace(PREDICATE, "https://slsa.dev/provenance/v1");
    assert!(Statement::parse(other.as_bytes()).unwrap_err().to_string().contains("another kind: `https://slsa.dev"));
    let later = text.replace("\"format\":1", "\"format\":2");
    assert!(Statement::parse(later.as_bytes()).unwrap_err().to_string().contains("its format is 2"));
    assert!(Statement::parse(b"{").is_err());
}

#[test]
fn an_envelope_holds_what_was_signed_with_its_type() {
    // The example of DSSE's own protocol, with in-toto's type.
    assert_eq!(pae(b"hello"), b"DSSEv1 28 application/vnd.in-toto+json 5 hello");
    let envelope = Envelope::new(b"payload", "id", b"signature");
    let text = serde_json::to_string(&envelope).unwrap();
    assert!(text.contains(r#""payloadType":"application/vnd.in-toto+json""#), "{text}");
    let back = Envelope::parse(text.as_bytes()).unwrap();
    assert_eq!(back.open().unwrap(), (b"payload".to_vec(), b"signature".to_vec(), "id"));
    let wrong = |change: fn(&mut Envelope)| {
        let mut envelope = envelope.clone();
        change(&mut envelope);
        envelope.open().unwrap_err().to_string()
    };
    assert!(wrong(|envelope| envelope.payload.push('?')).contains("payload is no base64"));
    assert!(wrong(|envelope| envelope.payload_type = "text/plain".to_owned()).contains("`text/plain`"));
    assert!(wrong(|envelope| envelope.signatures.clear()).contains("0 signatures"));
    assert!(Envelope::parse(b"[]").is_err());
}

/// Made by `openssl ecparam -name prime256v1 -genkey` and `openssl ec -pubout`; the id by `openssl dgst -sha256` of its DER.
const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE++JA5mmJsjtfbLYErtYOzGXS5RcM
7/b8f02hu2QbmvK48GmIaXnIJQ8HynfnmY3qIe/LT/rfZMZFigoTIzvzLA==
-----END PUBLIC KEY-----
";

#[test]
fn keys_are_of_p_256_in_pem() {
    let key = PublicKey::from_pem(PEM).unwrap();
    assert_eq!(key.to_pem(), PEM);
    assert_eq!(key.id(), "8eda220a0a967ee985c87b65d4f8a9b870f953f75fb8a954ecbd02b11e591504");
    assert_eq!((key.point().len(), key.point()[0]), (65, 4));
    assert_eq!(PublicKey::from_pem("nonsense"), Err(KeyError::Pem));
    assert_eq!(PublicKey::all_from_pem(&format!("{PEM}\n# the former one\n{PEM}")), Ok(vec![key.clone(), key.clone()]));
    assert_eq!(PublicKey::all_from_pem("nonsense"), Err(KeyError::Pem));
    assert_eq!(PublicKey::all_from_pem(&format!("{PEM}{}", PEM.replace('M', "x"))), Err(KeyError::Kind));
    let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----";
    assert_eq!(PublicKey::from_pem(ed25519), Err(KeyError::Kind));
}

#[test]
fn a_model_signature_is_over_the_digests_in_the_order_of_names() {
    let file = |name: &str, digit: &str| File { name: name.to_owned(), sha256: digit.repeat(64) };
    let text = model_signature("model", &[file("b", "2"), file("a", "1")]).unwrap();
    let statement: Json = serde_json::from_str(&text).unwrap();
    let names: Vec<&str> = statement["predicate"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let all = [[0x11; 32], [0x22; 32]].concat();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], sha256(&all));
    assert_eq!(model_signature("model", &[file("a", "x")]), None);
}

#[test]
fn a_row_that_was_altered_is_named_by_its_field() {
    let signed = serde_json::to_value(receipt()).unwrap();
    assert_eq!(differences(&signed, &signed), []);
    let mut now = signed.clone();
    now["artifacts"][0]["sha256"] = json!("f".repeat(64));
    now["results"]["knn_accuracy"] = json!(0.9);
    now["results"]["new"] = json!(1);
    now["checkpoints"].as_array_mut().unwrap().pop();
    let found = differences(&signed, &now);
    let fields: Vec<&str> = found.iter().map(|one| one.field.as_str()).collect();
    // Objects are in the order of their keys here; a checkpoint that is gone is one difference.
    assert_eq!(fields, ["artifacts[0].sha256", "checkpoints[1]", "results.knn_accuracy", "results.new"]);
    assert_eq!((found[2].signed.as_str(), found[2].now.as_str()), ("0.5", "0.9"));
    assert_eq!((found[3].signed.as_str(), found[1].now.as_str()), ("", ""));
}

#[test]
fn a_receipt_that_was_altered_says_something_against_itself() {
    let found = |change: &dyn Fn(&mut Statement)| {
        let mut statement = Statement::new(receipt());
        change(&mut statement);
        contradictions(&statement).join("\n")
    };
    assert_eq!(found(&|_| ()), "");
    let digest = found(&|statement| statement.predicate.artifacts[0].sha256 = "f".repeat(64));
    assert!(digest.contains("subject[0] (`encoder.safetensors`)"), "{digest}");
    let seed = found(&|statement| statement.predicate.spec["seed"] = json!(2));
    assert!(seed.contains("another stage, seed") && seed.contains("content_key"), "{seed}");
    let epochs = found(&|statement| statement.predicate.spec["stage"]["epochs"] = json!(4));
    assert!(epochs.contains("does not give predicate.key.content_key"), "{epochs}");
    assert!(found(&|statement| statement.predicate.images = Some("cd".to_owned())).contains("content_key"));
    assert!(found(&|statement| statement.predicate.spec = json!({})).contains("no spec of a job"));
    assert!(found(&|statement| statement.predicate.attempts.clear()).contains("not with success"));
    // Of what nobody could tell when it was made, nothing is said.
    let told = |derived| Key { content_key: "other".to_owned(), derived, ..receipt().key };
    assert!(found(&|statement| statement.predicate.key = told(Some(true))).contains("content_key"));
    assert_eq!(found(&|statement| statement.predicate.key = told(Some(false))), "");
}

#[test]
fn the_same_kind_of_device_has_equal_bits_and_another_a_tolerance() {
    let first = receipt();
    let same = compare(&first, &receipt());
    assert_eq!((same.equal, same.holds), (4, true));
    assert!(same.verdict().contains("same bits, on the same kind"), "{same:?}");

    let mut again = receipt();
    again.results.insert("seconds".to_owned(), figure(9.0));
    assert!(compare(&first, &again).unequal.is_empty(), "time is no result");
    again.checkpoints[1].state_sha256 = "c".repeat(64);
    again.results.insert("knn_accuracy".to_owned(), figure(0.505));
    let other = compare(&first, &again);
    assert_eq!(other.unequal, ["the state at step 20", "the figure knn_accuracy: 0.5, then 0.505"]);
    assert!(!other.holds && other.verdict().contains("not reproduced"), "{other:?}");

    let environment = again.attempts[0].ranks[0].environment.as_mut().unwrap();
    environment.instructions = "AVX512".to_owned();
    environment.processor_features.push("avx512f".to_owned());
    environment.worker = "another of the same".to_owned();
    let other = compare(&first, &again);
    assert!(other.holds, "{other:?}");
    assert!(other.verdict().contains("instruction set of libtorch: AVX2, then AVX512"), "{}", other.verdict());
    assert!(other.verdict().contains("only the second time: avx512f"), "{}", other.verdict());
    again.results.insert("knn_accuracy".to_owned(), figure(0.6));
    assert!(!compare(&first, &again).holds);
    again.attempts[0].ranks[0].environment = None;
    assert!(compare(&first, &again).kinds.contains(&"what it ran on is not known".to_owned()));
}

#[test]
fn of_many_checkpoints_some_are_listed_evenly_and_the_last() {
    assert_eq!(thinned(3, 5), [0, 1, 2]);
    assert_eq!(thinned(10, 5), [1, 3, 5, 7, 9]);
    let thin = thinned(1000, CHECKPOINTS_MAX);
    assert_eq!((thin.len(), thin.last()), (CHECKPOINTS_MAX, Some(&999)));
    assert!(thin.is_sorted_by(|one, other| one < other));
}

#[test]
fn figures_that_are_no_numbers_are_words() {
    assert_eq!((figure(0.1), figure(f64::NAN), figure(f64::NEG_INFINITY)), (json!(0.1), json!("NaN"), json!("-inf")));
}

#[test]
fn whether_a_key_follows_is_told_where_it_can_be() {
    assert_eq!(derived(&receipt()), Some(true));
    let of = |change: fn(&mut Receipt)| {
        let mut receipt = receipt();
        change(&mut receipt);
        derived(&receipt)
    };
    assert_eq!(of(|receipt| receipt.spec["seed"] = json!(2)), Some(false));
    assert_eq!(of(|receipt| receipt.key.learn_version.clear()), None);
    let input = |receipt_sha256| Input {
        job: "i".to_owned(),
        content_key: "k".to_owned(),
        receipt_sha256,
        artifacts: Vec::new(),
    };
    let with_input = |receipt_sha256: Option<String>| {
        let mut receipt = receipt();
        receipt.spec["inputs"] = json!(["before"]);
        receipt.inputs.push(input(receipt_sha256));
        let spec = serde_json::from_value(receipt.spec.clone()).unwrap();
        receipt.key.content_key = content_key(&spec, Some("ab12"), &["k"], "5");
        receipt
    };
    assert_eq!(derived(&with_input(Some("r".to_owned()))), Some(true));
    assert_eq!(derived(&with_input(None)), None, "an input of before receipts may have another key");
    let fresh = Receipt { key: Key { salt: Some("e".to_owned()), ..receipt().key }, ..receipt() };
    assert_eq!(derived(&fresh), Some(false));
    let plain = receipt().key.content_key;
    let key = Key { content_key: crate::plan::fresh_key(&plain, "e"), ..fresh.key.clone() };
    assert_eq!(derived(&Receipt { key, ..fresh }), Some(true));
}

/// By `openssl dgst -sha256 -sign` over the PAE of "hello".
const HELLO: &str = "MEYCIQDCX9vJHqSmTpH6bsPx0HyhkE30Kpy5636USbn8WzySiwIhANuDSPpuRxKTmJwiYTutxRRD/YyrTf70knTRrDFoQyZS";

#[test]
fn a_signature_is_of_its_key_over_every_byte() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = PublicKey::from_pem(PEM).unwrap();
    let mut signature = STANDARD.decode(HELLO).unwrap();
    assert!(verifies(&key, b"hello", &signature));
    assert!(!verifies(&key, b"hellp", &signature));
    *signature.last_mut().unwrap() ^= 1;
    assert!(!verifies(&key, b"hello", &signature));
}

#[test]
fn a_replay_goes_from_a_kept_checkpoint_to_the_next_listed_state() {
    let steps =
        |kept: &[u64]| receipt().steps_to_replay(kept).map(|replayed| (replayed.from_step, replayed.until_step));
    assert_eq!(steps(&[10, 20]), Some((10, 20)), "after the last there is nothing to compare");
    assert_eq!(steps(&[20]), Some((0, 10)));
    assert_eq!(steps(&[]), Some((0, 10)));
    let mut none = receipt();
    none.checkpoints.iter_mut().for_each(|state| state.state_sha256.clear());
    assert_eq!(none.steps_to_replay(&[10]), None);
}

#[test]
fn a_replay_is_compared_by_its_state_and_by_what_it_evaluated() {
    let first = receipt();
    let mut replay = Receipt { artifacts: Vec::new(), ..receipt() };
    replay.job.replayed = Some(Replayed { from_step: 10, until_step: 20 });
    replay.attempts[0].first_step = 10;
    replay.checkpoints.remove(0);
    replay.results.remove("seconds");
    let same = compare(&first, &replay);
    assert_eq!((same.equal, same.holds, same.unequal.len()), (2, true, 0));
    replay.results.clear();
    assert!(compare(&first, &replay).holds, "a stage without a figure to evaluate");
    replay.checkpoints[0].state_sha256 = "c".repeat(64);
    assert_eq!(compare(&first, &replay).unequal, ["the state at step 20"]);
    replay.checkpoints.clear();
    let nowhere = compare(&first, &replay);
    assert!(!nowhere.holds && nowhere.unequal[0].contains("was not reached"), "{nowhere:?}");
}

#[test]
fn a_replay_that_did_not_begin_at_its_checkpoint_is_none() {
    let mut replay = Receipt { artifacts: Vec::new(), ..receipt() };
    replay.job.replayed = Some(Replayed { from_step: 10, until_step: 20 });
    let began = compare(&receipt(), &replay);
    assert!(!began.holds && began.unequal[0].starts_with("the checkpoint at step 10: it is damaged"), "{began:?}");
}

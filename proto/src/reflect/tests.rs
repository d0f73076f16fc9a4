use prost::Message as _;
use serde_json::json;

use super::*;
use crate::v1;

fn method(path: &str) -> Method {
    Method::of(path).unwrap()
}

#[test]
fn a_query_becomes_a_request() {
    let ask = method("/tandem.v1.Results/Ask");
    let pairs = [
        ("where", "seed = 1"),
        ("by", "encoder"),
        ("by", "seed"),
        ("limit", "7"),
        ("mine", ""),
        ("direction", "ascending"),
    ];
    let request = v1::AskRequest::decode(ask.request_of_query(pairs).unwrap().as_slice()).unwrap();
    assert_eq!((request.r#where.as_str(), request.limit, request.mine), ("seed = 1", 7, true));
    assert_eq!(request.direction(), v1::AskDirection::Ascending);
    assert_eq!(request.by, ["encoder", "seed"]);
    let fetch = method("/tandem.v1.Results/Fetch");
    let bytes = fetch.request_of_query([("checkpoint.step", "7"), ("checkpoint.job_id", "j")]).unwrap();
    let inner = v1::FetchRequest::decode(bytes.as_slice()).unwrap().checkpoint.unwrap();
    assert_eq!((inner.step, inner.job_id.as_str()), (7, "j"));
}

#[test]
fn what_is_wrong_in_a_query_is_said_with_its_name() {
    let ask = method("/tandem.v1.Results/Ask");
    let told =
        |pairs: &[(&'static str, &'static str)]| ask.request_of_query(pairs.iter().copied()).unwrap_err().to_string();
    assert!(told(&[("wher", "x")]).starts_with("there is no `wher`; there are where, target, owner"));
    assert_eq!(told(&[("limit", "-1")]), "limit: `-1` is not a whole number from 0 to 4294967295");
    assert_eq!(told(&[("limit", "5000000000")]), "limit: `5000000000` is not a whole number from 0 to 4294967295");
    assert_eq!(told(&[("mine", "yes")]), "mine: `yes` is not true or false");
    assert_eq!(told(&[("where", "a"), ("where", "b")]), "`where` is there twice");
    assert_eq!(told(&[("direction", "up")]), "direction: `up` is not one of unspecified, ascending, descending");
    assert_eq!(told(&[("where.x", "up")]), "there is no `where.x`: `where` has no fields");
}

#[test]
fn json_becomes_a_request_and_wrong_json_is_refused() {
    let submit = method("/tandem.v1.Jobs/Submit");
    let bytes =
        submit.request_of_json(&json!({ "toml": "x", "dry_run": true, "priority": -3, "max_seconds": null })).unwrap();
    let request = v1::SubmitRequest::decode(bytes.as_slice()).unwrap();
    assert_eq!(
        (request.toml.as_str(), request.dry_run, request.priority, request.max_seconds),
        ("x", true, Some(-3), None)
    );
    let told = |json| submit.request_of_json(&json).unwrap_err().to_string();
    assert_eq!(told(json!([])), "SubmitRequest: a list is not an object");
    assert_eq!(told(json!({ "toml": 7 })), "toml: 7 is not a text");
    assert_eq!(told(json!({ "priority": 1.5 })), "priority: 1.5 is not a whole number");
    assert!(told(json!({ "tom": "x" })).starts_with("there is no `tom`; there are toml, "));
}

#[test]
fn an_answer_has_all_its_fields_with_words_and_times() {
    let list = method("/tandem.v1.Jobs/List");
    let mut job = v1::Job {
        id: "a".to_owned(),
        created_at: Some(prost_types::Timestamp { seconds: 60, nanos: 0 }),
        ..v1::Job::default()
    };
    job.set_state(v1::JobState::Running);
    job.results.push(v1::Scalar { name: "loss".to_owned(), value: f64::NAN });
    let answer = v1::ListResponse { jobs: vec![job], ..v1::ListResponse::default() };
    let json = list.answer(&answer.encode_to_vec()).unwrap();
    let job = &json["jobs"][0];
    assert_eq!(
        (&job["id"], &job["state"], &job["created_at"]),
        (&json!("a"), &json!("running"), &json!("1970-01-01T00:01:00Z"))
    );
    assert_eq!((&job["started_at"], &job["results"][0]["value"]), (&json!(null), &json!(null)));
    assert_eq!(json["next_cursor"], json!(""));
    let row = v1::AskRow {
        cells: vec![v1::AskCell { value: Some(v1::ask_cell::Value::Whole(7)) }, v1::AskCell { value: None }],
        ..v1::AskRow::default()
    };
    let answer = v1::AskResponse { rows: vec![row], ..v1::AskResponse::default() };
    let json = method("/tandem.v1.Results/Ask").answer(&answer.encode_to_vec()).unwrap();
    assert_eq!(json["rows"][0]["cells"], json!([{ "whole": 7 }, {}]));
}

#[test]
fn what_has_no_single_request_or_is_not_there_is_no_method() {
    for path in
        ["/tandem.v1.Data/Put", "/tandem.v1.Workers/Session", "/tandem.v1.Jobs/Nothing", "/x", "", "/tandem.v1.No/List"]
    {
        assert!(Method::of(path).is_none(), "{path}");
    }
    assert!(method("/tandem.v1.Jobs/Logs").streams());
}

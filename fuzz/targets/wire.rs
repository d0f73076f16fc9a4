//! Bytes that claim to be a message: the first byte chooses the kind, of all that a coordinator takes or gives.
//!
//! What is decoded survives being encoded again, and `proto::convert` and `--json` do with it whatever they can do.

#![no_main]

use std::{collections::BTreeSet, fmt::Debug, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use prost::Message;
use prost_types::FileDescriptorSet;
use tandem_domain::{
    device::{Process, Reading, TEXT_MAX},
    images::SeenDataset,
};
use tandem_proto::{
    convert::{self, Timestamp},
    v1::{self, coordinator_message::Message as ToWorker, worker_message::Message as FromWorker},
};

struct Kind {
    name: &'static str,
    take: fn(&[u8]),
}

macro_rules! kinds {
    ($($name:ident: $($judge:path)?),+ $(,)?) => {
        &[$(Kind { name: stringify!($name), take: |bytes| {
            let Some(_message) = decoded::<v1::$name>(bytes) else { return };
            $($judge(&_message);)?
        } }),+]
    };
}

const KINDS: &[Kind] = kinds! {
    SubmitRequest:, SubmitResponse:, ListRequest: list, ListResponse: printed,
    ExperimentsRequest:, ExperimentsResponse: printed,
    ShowRequest:, ShowResponse: shown, WatchRequest:, WatchResponse: printed,
    LogsRequest:, LogLine: printed, CancelRequest:, CancelResponse: printed,
    QueryRequest:, QueryResponse:, AskRequest:, AskResponse:, View:, SaveViewRequest:, SaveViewResponse:, ListViewsRequest:, ListViewsResponse:,
    RemoveViewRequest:, RemoveViewResponse:, MetricsRequest:, MetricsResponse:, FetchRequest:, FetchResponse:, CheckpointFile:,
    ReceiptRequest:, ReceiptResponse:, ReceiptKeysRequest:, ReceiptKeysResponse: printed,
    ReproduceRequest:, ReproduceResponse: printed, ImportRequest:, ImportResponse: printed,
    DevicesRequest:, DevicesResponse: printed, UsageRequest: usage, UsageResponse: printed,
    StatusRequest:, StatusResponse: status, ReleaseRequest:, ReleaseResponse: printed,
    WhoAmIRequest:, WhoAmIResponse: printed, ListPeopleRequest:, ListPeopleResponse: printed,
    SetPersonRequest:, SetPersonResponse: printed, NewTokenRequest:, NewTokenResponse:,
    ListTokensRequest:, ListTokensResponse: printed, RevokeTokenRequest:, RevokeTokenResponse:,
    AuditRequest: audit, AuditResponse: printed,
    WebCodeRequest:, WebCodeResponse:, WebCodeStateRequest:, WebCodeStateResponse:,
    ListDataRequest:, ListDataResponse: data, PutRequest:, PutResponse:,
    RemoveDataRequest:, RemoveDataResponse: removed,
    PauseRequest:, ResumeRequest:, RequeueRequest:, SetPriorityRequest:, ChangedResponse: printed,
    WhyRequest:, WhyResponse: printed, HoldRequest:, HoldResponse: printed, UnholdRequest:, UnholdResponse: printed,
    DrainRequest:, DrainResponse: printed, UndrainRequest:, UndrainResponse: printed,
    GetPolicyRequest:, GetPolicyResponse: printed, SetPolicyRequest:, SetPolicyResponse: printed,
    PolicyHistoryRequest:, PolicyHistoryResponse: printed,
    ListNotifyRequest:, ListNotifyResponse: printed, SetNotifyRequest:, SetNotifyResponse: printed,
    RemoveNotifyRequest:, RemoveNotifyResponse: printed, TestNotifyRequest:, TestNotifyResponse: printed,
    TagRequest:, NoteRequest:, LabelResponse: printed, ArchiveRequest:, ArchiveResponse: printed,
    DeleteRequest:, DeleteResponse: printed, CleanRequest:, CleanResponse: printed,
    StoredRequest:, StoredResponse: printed,
    WorkerMessage: from_worker, CoordinatorMessage: to_worker,
};

/// A method whose messages are not listed above is told at once.
static COMPLETE: LazyLock<()> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(v1::DESCRIPTOR_SET).expect("our own descriptors");
    let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let types = methods.flat_map(|method| [method.input_type(), method.output_type()]);
    let listed: BTreeSet<_> = KINDS.iter().map(|kind| format!(".tandem.v1.{}", kind.name)).collect();
    let missing: BTreeSet<_> = types.filter(|name| !listed.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} are sent, and not in this file");
});

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&COMPLETE);
    if let Some((&kind, bytes)) = bytes.split_first() {
        (KINDS[usize::from(kind) % KINDS.len()].take)(bytes);
    }
});

fn decoded<M: Message + Default + Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let encoded = message.encode_to_vec();
    let again = M::decode(encoded.as_slice()).expect("what was encoded is decoded");
    // Not the messages: a number that is none is not equal to itself.
    assert_eq!(again.encode_to_vec(), encoded, "{message:?}");
    Some(message)
}

/// As `--json` prints it.
fn printed(message: &impl serde::Serialize) {
    let text = serde_json::to_string(message).expect("it is printed");
    serde_json::from_str::<serde_json::Value>(&text).expect("what is printed is JSON");
}

fn list(request: &v1::ListRequest) {
    request.states.iter().for_each(|&state| drop(convert::job_state("states", state)));
}

fn audit(request: &v1::AuditRequest) {
    moment(request.since);
}

fn usage(request: &v1::UsageRequest) {
    moment(request.since);
}

fn status(response: &v1::StatusResponse) {
    printed(response);
    response.workers.iter().flat_map(|worker| &worker.datasets).for_each(dataset);
}

fn data(response: &v1::ListDataResponse) {
    response.datasets.iter().for_each(printed);
}

fn removed(response: &v1::RemoveDataResponse) {
    response.dataset.iter().for_each(printed);
}

fn shown(response: &v1::ShowResponse) {
    printed(response);
    for job in &response.jobs {
        let _ = (convert::uuid("id", &job.id), convert::job_state("state", job.state));
        spec(&job.spec_json);
    }
    response.attempts.iter().for_each(|attempt| drop(convert::attempt_state("state", attempt.state)));
}

fn from_worker(message: &v1::WorkerMessage) {
    match &message.message {
        Some(FromWorker::Register(register)) => {
            let _ = convert::uuid("worker_id", &register.worker_id);
            register.running.iter().for_each(|rank| drop(convert::uuid("attempt_id", &rank.attempt_id)));
        }
        Some(FromWorker::RankEnded(end)) => drop(convert::rank_outcome("outcome", end.outcome)),
        Some(FromWorker::Report(report)) => report.events.iter().for_each(|event| moment(event.at)),
        Some(FromWorker::Datasets(seen)) => seen.datasets.iter().for_each(dataset),
        Some(FromWorker::Samples(samples)) => {
            // What was bounded once stays as it is.
            for look in samples.looks.iter().filter_map(|look| look.figures) {
                let reading = Reading::from(look);
                assert_eq!(reading.checked(), reading);
            }
            for process in samples.processes.iter().cloned().map(Process::from) {
                assert!(process.name.len() <= TEXT_MAX && process.user.len() <= TEXT_MAX);
            }
        }
        _ => {}
    }
}

fn to_worker(message: &v1::CoordinatorMessage) {
    if let Some(ToWorker::Assignment(assignment)) = &message.message {
        let _ = convert::uuid("job_id", &assignment.job_id);
        spec(&assignment.spec_json);
    }
}

/// What is a moment goes back to the same.
fn moment(at: Option<Timestamp>) {
    if let Ok(Some(read)) = convert::optional_moment("at", at) {
        assert_eq!(convert::moment("at", Some(convert::timestamp(read))), Ok(read));
    }
}

fn dataset(wire: &v1::Dataset) {
    assert_eq!(&v1::Dataset::from(SeenDataset::from(wire.clone())), wire);
}

/// What is a job's spec is stored as a text that is the same spec.
fn spec(json: &str) {
    if let Ok(spec) = convert::spec("spec_json", json) {
        assert_eq!(convert::spec("spec_json", &convert::spec_json(&spec)).as_ref(), Ok(&spec), "{json}");
    }
}

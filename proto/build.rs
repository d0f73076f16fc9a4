//! Generates the wire types, how they look as JSON, and the descriptor set that the reflection service serves.
//!
//! The `.proto` files are compiled by a crate and not by protoc, which a machine for the command line alone need not have.

use std::{env, fs, path::PathBuf};

use prost::Message;

#[path = "../domain/src/access/role.rs"]
#[expect(dead_code, unreachable_pub, reason = "read for the table alone")]
mod role;
#[path = "../domain/src/access/rules.rs"]
#[expect(dead_code, unreachable_pub, reason = "read for the names of the methods alone")]
mod rules;

/// Messages that `tandem --json` prints. Its fields stand in the order of their declaration in the `.proto` file.
const PRINTED: &[&str] = &[
    "ArchiveResponse",
    "Artifact",
    "Attempt",
    "AuditEntry",
    "AuditResponse",
    "Before",
    "CancelResponse",
    "ChangedResponse",
    "Checkpoint",
    "Cleaned",
    "CleanResponse",
    "Dataset",
    "DeleteResponse",
    "Device",
    "DeviceFacts",
    "DeviceFigures",
    "DevicePoint",
    "DeviceProcess",
    "DeviceReport",
    "DevicesResponse",
    "Estimate",
    "Event",
    "DrainResponse",
    "Experiment",
    "GetPolicyResponse",
    "GoneJob",
    "HoldResponse",
    "ImportedAs",
    "ImportResponse",
    "ExperimentSummary",
    "ExperimentsResponse",
    "Job",
    "Labelled",
    "LabelResponse",
    "ListPeopleResponse",
    "ListResponse",
    "ListNotifyResponse",
    "ListTokensResponse",
    "MaxTime",
    "LogLine",
    "Note",
    "NotifyTarget",
    "Person",
    "PlannedJob",
    "Policy",
    "PolicyHistoryResponse",
    "Progress",
    "ReceiptDifference",
    "ReceiptKey",
    "ReceiptKeysResponse",
    "ReleaseResponse",
    "ReproduceResponse",
    "RemoveNotifyResponse",
    "SetNotifyResponse",
    "Scalar",
    "SetPersonResponse",
    "SetPolicyResponse",
    "Share",
    "SharedJob",
    "ShowResponse",
    "Start",
    "StatusResponse",
    "StayingJob",
    "Stays",
    "StoredBy",
    "StoredDataset",
    "StoredJob",
    "StoredResponse",
    "Submission",
    "TestNotifyResponse",
    "Token",
    "UndrainResponse",
    "UnholdResponse",
    "Usage",
    "UsageResponse",
    "WatchResponse",
    "WhoAmIResponse",
    "Why",
    "WhyResponse",
    "Withheld",
    "Worker",
];

/// States are printed as their words: "running", and "unknown" where the wire says "unspecified".
const STATES: &[(&str, &str)] = &[
    ("AttemptState", "ATTEMPT_STATE_UNSPECIFIED"),
    ("JobState", "JOB_STATE_UNSPECIFIED"),
    ("WorkerState", "WORKER_STATE_UNSPECIFIED"),
];

/// How a field is printed, where serde alone would print it differently. The functions are in `src/v1.rs`.
const FIELDS: &[(&str, &[&str])] = &[
    (
        r#"serialize_with = "json::time""#,
        &[
            "Attempt.assigned_at",
            "Attempt.ended_at",
            "Attempt.training_at",
            "AuditEntry.at",
            "Checkpoint.at",
            "DevicePoint.at",
            "DeviceReport.from",
            "DeviceReport.until",
            "Event.at",
            "Experiment.created_at",
            "ExperimentSummary.created_at",
            "LogLine.at",
            "Note.at",
            "NotifyTarget.made_at",
            "Person.made_at",
            "ReceiptKey.since",
            "Start.at",
            "Start.early",
            "Start.late",
            "StatusResponse.server_started_at",
            "StoredDataset.at",
            "Token.made_at",
            "WhyResponse.at",
            "Worker.last_seen",
        ],
    ),
    (
        r#"serialize_with = "json::time", skip_serializing_if = "json::is_no_time""#,
        &[
            "DeviceProcess.since",
            "DeviceReport.at",
            "Job.created_at",
            "Job.finished_at",
            "Job.started_at",
            "Policy.set_at",
            "NotifyTarget.last_sent",
            "Token.expires_at",
            "Token.last_used",
            "Worker.busy_since",
            "Worker.quarantined_until",
            "Withheld.until",
            "UsageResponse.since",
        ],
    ),
    (r#"serialize_with = "json::state::<AttemptState, _>""#, &["Attempt.state"]),
    (r#"serialize_with = "json::state::<JobState, _>""#, &["Job.state"]),
    (r#"serialize_with = "json::state::<WorkerState, _>""#, &["DeviceReport.state", "Worker.state"]),
    (
        r#"serialize_with = "json::state::<JobState, _>", skip_serializing_if = "json::is_unspecified""#,
        &["PlannedJob.reused_state"],
    ),
    (r#"serialize_with = "json::map""#, &["Job.results", "Progress.metrics"]),
    (
        r#"rename = "spec", serialize_with = "json::document", skip_serializing_if = "json::is_no_document""#,
        &["Job.spec_json"],
    ),
    (
        r#"skip_serializing_if = "String::is_empty""#,
        &[
            "Estimate.basis",
            "Dataset.problem",
            "Dataset.stored",
            "DeviceProcess.name",
            "DeviceProcess.user",
            "DeviceFacts.remark",
            "DeviceReport.doubt",
            "DeviceReport.late",
            "DeviceReport.quarantine_reason",
            "DeviceReport.withheld",
            "DevicesResponse.job_id",
            "DevicesResponse.job_name",
            "Event.worker",
            "ExperimentSummary.best_job",
            "Job.reason",
            "ListResponse.next_cursor",
            "HoldResponse.running",
            "DrainResponse.running",
            "Person.login",
            "PlannedJob.refusal",
            "Policy.set_by",
            "NotifyTarget.last_error",
            "SetNotifyResponse.secret",
            "TestNotifyResponse.error",
            "Token.person",
            "Token.worker",
            "WhoAmIResponse.token_id",
            "Worker.experiment",
            "Worker.job_id",
            "Worker.owner",
            "Worker.quarantine_reason",
            "Worker.unfit",
            "Withheld.reason",
            "Worker.withheld",
        ],
    ),
    (
        r#"skip_serializing_if = "Option::is_none""#,
        &[
            "ExperimentSummary.best",
            "Job.max_time",
            "ListResponse.total",
            "Experiment.note",
            "Job.note",
            "Labelled.note",
            "StoredBy.limit_bytes",
            "DeviceFigures.load",
            "DeviceFigures.memory_clock_max_mhz",
            "DeviceFigures.memory_clock_mhz",
            "DeviceFigures.memory_total_bytes",
            "DeviceFacts.foreign_processes",
            "DeviceFacts.memory_used_bytes",
            "DeviceFacts.power_watts",
            "DeviceFacts.temperature_celsius",
            "DeviceFacts.utilization_percent",
            "DeviceFigures.memory_used_bytes",
            "DeviceFigures.pcie_generation",
            "DeviceFigures.pcie_received_per_second",
            "DeviceFigures.pcie_sent_per_second",
            "DeviceFigures.pcie_width",
            "DeviceFigures.power_watts",
            "DeviceFigures.sm_clock_max_mhz",
            "DeviceFigures.sm_clock_mhz",
            "DeviceFigures.state_free_bytes",
            "DeviceFigures.store_free_bytes",
            "DeviceFigures.temperature_celsius",
            "DeviceFigures.throttle",
            "DeviceFigures.utilization_percent",
            "DevicePoint.load",
            "DevicePoint.memory_used_bytes",
            "DevicePoint.power_watts",
            "DevicePoint.sm_clock_mhz",
            "DevicePoint.temperature_celsius",
            "DevicePoint.utilization_percent",
            "DeviceProcess.memory_bytes",
            "DeviceReport.device",
            "DeviceReport.now",
            "Job.progress",
            "PlannedJob.estimate",
            "ShowResponse.experiment",
            "Worker.device",
            "Worker.facts",
            "Worker.hold",
            "Worker.drain",
            "Why.start",
        ],
    ),
    (
        r#"skip_serializing_if = "std::ops::Not::not""#,
        &[
            "Checkpoint.removed",
            "Experiment.archived",
            "ExperimentSummary.archived",
            "GoneJob.cancelled",
            "ListResponse.more",
            "ListResponse.more_than_total",
            "WhoAmIResponse.once",
        ],
    ),
    (
        r#"skip_serializing_if = "json::is_zero""#,
        &[
            "DeviceReport.attempt",
            "Event.attempt",
            "ListResponse.not_indexed",
            "StatusResponse.paused",
            "Worker.seconds_left",
            "Why.place",
        ],
    ),
    (
        r#"skip_serializing_if = "Vec::is_empty""#,
        &[
            "CancelResponse.shared",
            "ChangedResponse.notes",
            "Experiment.tags",
            "ExperimentSummary.tags",
            "Job.tags",
            "StoredJob.tags",
            "Worker.datasets",
        ],
    ),
    ("skip", &["LogLine.sequence"]),
    (r#"rename = "experiment""#, &["Job.experiment_name"]),
    (r#"rename = "id", skip_serializing_if = "String::is_empty""#, &["PlannedJob.job_id"]),
    (r#"rename = "job""#, &["LogLine.job_name"]),
    (r#"rename = "job", skip_serializing_if = "String::is_empty""#, &["Worker.job_name"]),
    (r#"rename = "jobs""#, &["CancelResponse.cancelled", "ChangedResponse.changed"]),
];

/// Every method has a line in the table of who may call it, and every line of ours a method.
fn check_rules(files: &prost_types::FileDescriptorSet) -> Result<(), String> {
    let services = files.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let methods: Vec<(String, bool)> = services
        .flat_map(|(package, service)| {
            let path = format!("/{package}.{}", service.name());
            let streams =
                |method: &prost_types::MethodDescriptorProto| method.server_streaming() || method.client_streaming();
            service.method.iter().map(move |method| (format!("{path}/{}", method.name()), streams(method)))
        })
        .collect();
    let table = "domain/src/access/rules.rs";
    for (method, streams) in &methods {
        let Some(rule) = rules::rule_of(method) else {
            return Err(format!("{method} has no line in {table}: say there who may call it"));
        };
        if rule.streams != *streams {
            return Err(format!("{table} has a line for {method} that is wrong about its being a stream"));
        }
    }
    let ours = rules::RULES.iter().filter(|rule| rule.method.starts_with("/tandem."));
    match ours.map(|rule| rule.method).find(|method| !methods.iter().any(|(known, _)| known == method)) {
        Some(gone) => Err(format!("{table} has a line for {gone}, and there is no such method")),
        None => Ok(()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptor = PathBuf::from(env::var("OUT_DIR")?).join("tandem.v1.bin");
    let files = ["jobs", "results", "data", "fleet", "devices", "workers", "people", "policy", "notify", "keeping"]
        .map(|name| format!("tandem/v1/{name}.proto"));
    let path = |name: &str| format!("tandem.v1.{name}");
    let files = protox::Compiler::new(["."])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?
        .file_descriptor_set();
    check_rules(&files)?;
    fs::write(descriptor, files.encode_to_vec())?;
    // What was read from a disk is not copied on its way.
    let mut builder = tonic_prost_build::configure().bytes(path("FetchResponse.chunk"));
    // Much larger than their siblings, and once an attempt, or a job.
    for large in ["RankEvent.event.environment", "ImportRequest.message.job"] {
        builder = builder.boxed(path(large));
    }
    for message in PRINTED {
        builder = builder.message_attribute(path(message), "#[derive(serde::Serialize)]");
    }
    for (state, unspecified) in STATES {
        builder = builder
            .enum_attribute(path(state), r#"#[derive(serde::Serialize)] #[serde(rename_all = "snake_case")]"#)
            .field_attribute(path(&format!("{state}.{unspecified}")), r#"#[serde(rename = "unknown")]"#);
    }
    for (attribute, fields) in FIELDS {
        for field in *fields {
            builder = builder.field_attribute(path(field), format!("#[serde({attribute})]"));
        }
    }
    println!("cargo::rerun-if-changed=tandem");
    println!("cargo::rerun-if-changed=../domain/src/access");
    Ok(builder.compile_fds(files)?)
}

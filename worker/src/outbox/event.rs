//! What an event is worth, and how large it may be.

use tandem_proto::binary;
use tandem_proto::v1::{RankEvent, rank_event::Event as Kind};

use crate::text;

/// Longest text in an event. A rank's lines are shorter; the rest of a longer one is cut off.
pub(super) const TEXT_BYTES: usize = 64 << 10;

/// Sent at once: a person or another rank waits for it, or it says that something is durable.
pub(super) fn is_urgent(event: &Kind) -> bool {
    matches!(event, Kind::Phase(_) | Kind::Checkpoint(_) | Kind::Artifact(_) | Kind::Note(_))
}

/// Never dropped for want of room.
pub(super) fn is_essential(event: &Kind) -> bool {
    matches!(event, Kind::Phase(_) | Kind::Checkpoint(_) | Kind::Artifact(_) | Kind::Result(_) | Kind::Environment(_))
}

/// Without it the job has no result.
pub(super) fn is_result(event: &Kind) -> bool {
    matches!(event, Kind::Artifact(_) | Kind::Result(_))
}

/// Bytes that an event takes: nearly those in memory, and at least those on disk.
pub(super) fn weight(event: &RankEvent) -> usize {
    size_of::<RankEvent>() + binary::encoded_len(event)
}

/// Bytes of an event in a report, with its tag and length.
pub(super) fn sent_bytes(event: &RankEvent) -> usize {
    binary::encoded_len(event) + 8
}

/// Cuts what is too long.
pub(super) fn shorten(event: &mut Kind) {
    let texts: &mut [&mut String] = match event {
        Kind::Phase(phase) => &mut [&mut phase.name],
        Kind::Progress(_) => &mut [],
        Kind::Metric(metric) => &mut [&mut metric.name],
        Kind::Checkpoint(checkpoint) => {
            &mut [&mut checkpoint.path, &mut checkpoint.sha256, &mut checkpoint.state_sha256]
        }
        Kind::Environment(environment) => &mut [&mut environment.libtorch_build],
        Kind::Artifact(artifact) => {
            &mut [&mut artifact.kind, &mut artifact.name, &mut artifact.uri, &mut artifact.sha256]
        }
        Kind::Result(result) => &mut [&mut result.name],
        Kind::Log(log) => &mut [&mut log.line],
        Kind::Note(note) => &mut [&mut note.kind, &mut note.message],
    };
    texts.iter_mut().for_each(|text| text::cut(text, TEXT_BYTES));
}

/// For people, in a few words.
pub(super) fn describe(event: &RankEvent) -> String {
    let (what, text) = match &event.event {
        Some(Kind::Phase(phase)) => ("phase", &phase.name),
        Some(Kind::Metric(metric)) => ("point of metric", &metric.name),
        Some(Kind::Checkpoint(checkpoint)) => ("checkpoint", &checkpoint.path),
        Some(Kind::Environment(environment)) => ("environment with libtorch", &environment.libtorch),
        Some(Kind::Artifact(artifact)) => ("artifact", &artifact.name),
        Some(Kind::Result(result)) => ("result", &result.name),
        Some(Kind::Log(log)) => ("log line", &log.line),
        Some(Kind::Note(note)) => ("note", &note.message),
        Some(Kind::Progress(_)) | None => ("report of progress", &String::new()),
    };
    let mut text = text.clone();
    text::cut(&mut text, 80);
    format!("the {what} `{text}` ({} bytes)", sent_bytes(event))
}

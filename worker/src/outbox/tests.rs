use std::time::Duration;

use tandem_proto::v1::{CheckpointEvent, LogEvent, MetricEvent, ProgressEvent, RankOutcome};

use super::*;

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

fn metric(step: u64) -> Kind {
    Kind::Metric(MetricEvent { name: "loss".to_owned(), step, value: 1.0 })
}

fn checkpoint(step: u64) -> Kind {
    Kind::Checkpoint(CheckpointEvent { step, ..Default::default() })
}

fn log(line: &str) -> Kind {
    Kind::Log(LogEvent { line: line.to_owned() })
}

fn sequences(batch: Option<Vec<RankEvent>>) -> Vec<u64> {
    batch.unwrap_or_default().iter().map(|event| event.sequence).collect()
}

#[test]
fn events_wait_to_fill_a_batch_but_not_longer_than_a_second() {
    let start = Instant::now();
    let mut outbox = Outbox::new();
    outbox.push(start, wall(), metric(1));
    outbox.push(start + Duration::from_millis(900), wall(), metric(2));
    assert_eq!(outbox.due_at(start), Some(start + timing::REPORT_BATCH));
    assert_eq!(outbox.take_batch(start + Duration::from_millis(999)), None);
    assert_eq!(sequences(outbox.take_batch(start + timing::REPORT_BATCH)), [1, 2]);
    assert_eq!(outbox.due_at(start), None);
}

#[test]
fn a_full_batch_or_an_urgent_event_goes_at_once_and_takes_the_others_along() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    outbox.push(now, wall(), metric(1));
    outbox.push(now, wall(), checkpoint(1));
    assert_eq!(sequences(outbox.take_batch(now)), [1, 2]);

    for step in 0..timing::REPORT_BATCH_EVENTS as u64 + 1 {
        outbox.push(now, wall(), metric(step));
    }
    assert_eq!(outbox.take_batch(now).map(|batch| batch.len()), Some(timing::REPORT_BATCH_EVENTS));
}

#[test]
fn unconfirmed_events_are_sent_again_in_order_with_their_numbers() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    for step in 1..=3 {
        outbox.push(now, wall(), checkpoint(step));
        assert_eq!(sequences(outbox.take_batch(now)), [step]);
    }
    outbox.confirm(1);
    outbox.push(now, wall(), metric(4));
    outbox.resend(now);
    assert_eq!(sequences(outbox.take_batch(now)), [2, 3, 4]);
    outbox.confirm(4);
    outbox.resend(now);
    assert_eq!(outbox.take_batch(now), None);
    // A confirmation that comes twice, or late, removes nothing newer.
    outbox.push(now, wall(), checkpoint(5));
    outbox.confirm(4);
    assert_eq!(sequences(outbox.take_batch(now)), [5]);
}

#[test]
fn the_verdict_comes_last_and_again_after_a_reconnect() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    outbox.push(now, wall(), log("last words"));
    let verdict = Verdict::new(RankOutcome::Lost, "gone");
    outbox.end(verdict.clone());
    assert_eq!(outbox.take_verdict(), None, "an event is still unsent");
    assert_eq!(sequences(outbox.take_batch(now)), [1], "the end makes everything due");
    assert_eq!(outbox.take_verdict(), Some(verdict.clone()));
    assert_eq!(outbox.take_verdict(), None);
    assert!(outbox.all_sent());

    outbox.resend(now);
    assert!(!outbox.all_sent());
    assert_eq!(sequences(outbox.take_batch(now)), [1]);
    assert_eq!(outbox.take_verdict(), Some(verdict.clone()));
    outbox.confirm(1);
    outbox.resend(now);
    assert_eq!(
        (outbox.take_batch(now), outbox.take_verdict()),
        (None, Some(verdict)),
        "the verdict is never confirmed"
    );
}

#[test]
fn a_coordinator_that_confirms_nothing_gets_no_more_than_the_window() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    for step in 0..2 * WINDOW_EVENTS as u64 {
        outbox.push(now, wall(), metric(step));
    }
    let mut sent = 0;
    while let Some(batch) = outbox.take_batch(now) {
        sent += batch.len();
    }
    assert_eq!(sent, WINDOW_EVENTS);
    assert_eq!(outbox.due_at(now), None);
    outbox.confirm(timing::REPORT_BATCH_EVENTS as u64);
    assert_eq!(outbox.take_batch(now).map(|batch| batch.len()), Some(timing::REPORT_BATCH_EVENTS));
}

#[test]
fn only_the_newest_waiting_progress_is_sent() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    let progress = |step| Kind::Progress(ProgressEvent { step, ..Default::default() });
    outbox.push(now, wall(), progress(1));
    outbox.push(now, wall(), metric(1));
    outbox.push(now, wall(), progress(2));
    assert_eq!(sequences(outbox.take_batch(now + timing::REPORT_BATCH)), [2, 3]);
    // A progress that was sent stays: it may have to be sent again.
    outbox.push(now, wall(), progress(3));
    outbox.resend(now);
    assert_eq!(sequences(outbox.take_batch(now)), [2, 3, 4]);
}

#[test]
fn a_full_outbox_drops_metrics_and_logs_but_no_checkpoint_and_says_so() {
    let now = Instant::now();
    let mut outbox = Outbox::with_capacity(100 * size_of::<RankEvent>());
    for step in 1..=400 {
        outbox.push(now, wall(), if step % 50 == 0 { checkpoint(step) } else { metric(step) });
    }
    assert!(outbox.bytes <= outbox.capacity_bytes + 1024, "{} bytes", outbox.bytes);
    let mut kept = Vec::new();
    while let Some(batch) = outbox.take_batch(now) {
        kept.extend(batch);
    }
    let count = |wanted: fn(&Kind) -> bool| kept.iter().filter_map(|e| e.event.as_ref()).filter(|e| wanted(e)).count();
    assert_eq!(count(|e| matches!(e, Kind::Checkpoint(_))), 8);
    assert!(count(|e| matches!(e, Kind::Note(_))) >= 1);
    assert!(kept.is_sorted_by_key(|event| event.sequence));
}

#[test]
fn a_confirmation_names_the_newest_checkpoint_among_it() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    for step in 1..=3 {
        outbox.push(now, wall(), metric(step));
        outbox.push(now, wall(), checkpoint(10 * step));
    }
    assert_eq!(outbox.confirm(1), None);
    assert_eq!(outbox.confirm(5), Some(20));
    assert_eq!(outbox.confirm(5), None);
    assert_eq!(outbox.confirm(6), Some(30));
    assert_eq!((outbox.confirmed(), outbox.is_empty()), (6, true));
}

#[test]
fn a_recovered_outbox_sends_what_it_had_and_then_the_verdict() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    for step in 1..=4 {
        outbox.push(now, wall(), metric(step));
    }
    let events: Vec<_> = outbox.after(2).cloned().collect();
    let mut again = Outbox::recovered(now, events, 2, Verdict::lost("killed"));
    assert_eq!((again.due_at(now), again.take_verdict()), (Some(now), None));
    assert_eq!(sequences(again.take_batch(now)), [3, 4]);
    assert_eq!(again.take_verdict(), Some(Verdict::lost("killed")));
}

#[test]
fn without_its_unsent_events_an_outbox_sends_the_verdict_though_nobody_confirms() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    for step in 0..2 * WINDOW_EVENTS as u64 {
        outbox.push(now, wall(), metric(step));
    }
    outbox.end(Verdict::lost("gone"));
    while outbox.take_batch(now).is_some() {}
    assert_eq!((outbox.due_at(now), outbox.take_verdict()), (None, None));
    outbox.drop_unsent();
    assert_eq!(outbox.due_at(now), Some(now));
    assert_eq!(outbox.take_verdict(), Some(Verdict::lost("gone")));
}

#[test]
fn a_batch_is_bounded_by_bytes_and_a_text_by_its_length() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    // As a rank prints that writes bytes of no meaning: each becomes three.
    let line = "\u{fffd}".repeat(4096 / 3);
    for _ in 0..timing::REPORT_BATCH_EVENTS {
        outbox.push(now, wall(), log(&line));
    }
    let mut batches = 0;
    while let Some(batch) = outbox.take_batch(now) {
        let bytes: usize = batch.iter().map(sent_bytes).sum();
        assert!(bytes <= BATCH_BYTES, "{bytes}");
        batches += 1;
    }
    assert!(batches > 1 && outbox.sent == timing::REPORT_BATCH_EVENTS, "{batches}");

    outbox.confirm(outbox.last_sequence());
    outbox.push(now, wall(), log(&"x".repeat(8 << 20)));
    let batch = outbox.take_batch(now + timing::REPORT_BATCH).unwrap();
    assert!(sent_bytes(&batch[0]) < event::TEXT_BYTES + 100);
    assert!(matches!(&batch[0].event, Some(Kind::Log(log)) if log.line.ends_with("[cut off]")));
}

/// Sends until nothing is left, to a coordinator that refuses each batch with one of these numbers. Returns what it has taken
/// and how often it refused.
fn with_a_coordinator_that_refuses(outbox: &mut Outbox, poison: &[u64]) -> (Vec<RankEvent>, usize) {
    let now = Instant::now() + timing::REPORT_BATCH;
    let (mut taken, mut refusals) = (Vec::new(), 0);
    while let Some(batch) = outbox.take_batch(now) {
        let is_bad =
            |event: &RankEvent| poison.contains(&event.sequence) && !matches!(event.event, Some(Kind::Note(_)));
        if batch.iter().any(is_bad) {
            refusals += 1;
            assert!(refusals < 100, "it is sent for ever");
            outbox.refused("out of range");
            outbox.resend(now);
        } else {
            outbox.confirm(batch.last().unwrap().sequence);
            taken.extend(batch);
        }
    }
    (taken, refusals)
}

#[test]
fn an_event_that_is_refused_for_ever_is_left_out_and_said_and_all_others_arrive() {
    let mut outbox = Outbox::new();
    for step in 1..=2000 {
        outbox.push(Instant::now(), wall(), metric(step));
    }
    let (taken, refusals) = with_a_coordinator_that_refuses(&mut outbox, &[37, 38, 300]);
    let numbers: Vec<u64> = taken.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=2000).collect::<Vec<_>>());
    let notes: Vec<u64> = taken
        .iter()
        .filter(|event| matches!(&event.event, Some(Kind::Note(note)) if note.message.contains("`loss`")))
        .map(|event| event.sequence)
        .collect();
    assert_eq!(notes, [37, 38, 300], "{refusals} refusals");
    assert!(!outbox.is_cautious(), "all is as before");
}

#[test]
fn a_job_whose_result_is_refused_has_not_succeeded() {
    let mut outbox = Outbox::new();
    outbox.push(Instant::now(), wall(), Kind::Artifact(tandem_proto::v1::ArtifactEvent::default()));
    outbox.end(Verdict::new(RankOutcome::Succeeded, ""));
    with_a_coordinator_that_refuses(&mut outbox, &[1]);
    let verdict = outbox.take_verdict().unwrap();
    assert_eq!(verdict.outcome, RankOutcome::Unknown);
    assert!(verdict.cause.contains("artifact") && verdict.cause.contains("out of range"), "{}", verdict.cause);
}

#[test]
fn a_verdict_that_is_refused_is_told_in_the_words_of_older_coordinators() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    outbox.end(Verdict::unknown("a crash"));
    assert_eq!(outbox.take_verdict().map(|verdict| verdict.outcome), Some(RankOutcome::Unknown));
    outbox.refused("invalid argument");
    outbox.resend(now);
    assert_eq!(outbox.take_verdict(), Some(Verdict::lost("a crash")));
}

#[test]
fn nothing_is_sent_before_it_is_on_disk() {
    let now = Instant::now();
    let mut outbox = Outbox::new();
    outbox.push(now, wall(), checkpoint(1));
    outbox.push(now, wall(), checkpoint(2));
    outbox.end(Verdict::lost("gone"));
    outbox.release(Released { sequence: 1, verdict: false });
    assert_eq!(sequences(outbox.take_batch(now)), [1]);
    assert_eq!((outbox.due_at(now), outbox.take_batch(now)), (None, None));
    outbox.release(Released { sequence: 2, verdict: false });
    assert_eq!(sequences(outbox.take_batch(now)), [2]);
    assert_eq!((outbox.due_at(now), outbox.take_verdict()), (None, None));
    outbox.release(Released::ALL);
    assert_eq!(outbox.due_at(now), Some(now));
    assert!(outbox.take_verdict().is_some());
}

use std::{fs, time::SystemTime};

use tandem_proto::v1::{CheckpointEvent, LogEvent, RankOutcome, rank_event::Event as Kind};

use super::*;
use crate::verdict::Verdict;

struct Fixture {
    state: tempfile::TempDir,
    writer: Writer,
    now: Instant,
    outbox: Outbox,
    spool: Spool,
}

fn header(attempt_id: &str) -> SpoolHeader {
    SpoolHeader { attempt_id: attempt_id.to_owned(), fence: 12, rank: 1 }
}

impl Fixture {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let writer = Writer::start().unwrap();
        let spool = Spool::new(state.path(), header("a"), writer.clone());
        Self { state, writer, now: Instant::now(), outbox: Outbox::new(), spool }
    }

    fn log(&mut self, line: &str) {
        self.outbox.push(self.now, SystemTime::UNIX_EPOCH, Kind::Log(LogEvent { line: line.to_owned() }));
    }

    /// Until all is on disk, or cannot be.
    fn save(&mut self) -> Option<String> {
        let mut message = None;
        loop {
            let (waited, new) = (self.spool.waiting.len(), self.spool.save(self.now, &mut self.outbox));
            message = message.or(new);
            assert!(self.writer.flush(Duration::from_secs(60)));
            if waited == 0 && self.spool.waiting.is_empty() {
                return message;
            }
        }
    }

    /// As the next process of this worker sees it.
    fn found(&self) -> Contents {
        let (mut found, problems) = recover(self.state.path());
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(found.len(), 1);
        found.remove(0).1
    }

    fn bytes(&self) -> u64 {
        fs::metadata(&self.spool.path).unwrap().len()
    }
}

fn sequences(contents: &Contents) -> Vec<u64> {
    contents.events.iter().map(|event| event.sequence).collect()
}

#[test]
fn the_next_process_finds_exactly_what_was_not_confirmed() {
    let mut fixture = Fixture::new();
    for line in ["one", "two", "three"] {
        fixture.log(line);
        assert_eq!(fixture.save(), None);
    }
    fixture.outbox.confirm(2);
    fixture.log("four");
    fixture.save();
    let found = fixture.found();
    assert_eq!((found.header.clone(), sequences(&found), found.verdict.clone()), (header("a"), vec![3, 4], None));
    assert_eq!(found.events, fixture.outbox.after(0).cloned().collect::<Vec<_>>());

    let verdict = Verdict::new(RankOutcome::Preempted, "stopped with a checkpoint");
    fixture.outbox.end(verdict.clone());
    fixture.save();
    assert_eq!(fixture.found().verdict, Some(verdict));
    fixture.outbox.confirm(4);
    fixture.save();
    assert_eq!(sequences(&fixture.found()), Vec::<u64>::new());
    let Fixture { state, writer, spool, .. } = fixture;
    spool.remove();
    assert!(writer.flush(Duration::from_secs(60)));
    assert_eq!(recover(state.path()), (Vec::new(), Vec::new()));
}

#[test]
fn a_reopened_spool_goes_on_with_its_events_and_numbers() {
    let mut fixture = Fixture::new();
    fixture.log("one");
    fixture.log("two");
    fixture.save();
    let found = fixture.found();
    fixture.spool = Spool::reopen(fixture.spool.path.clone(), found.header.clone(), fixture.writer.clone());
    fixture.outbox = Outbox::recovered(fixture.now, found.events, found.confirmed, Verdict::lost("killed"));
    fixture.outbox.confirm(1);
    fixture.save();
    let again = fixture.found();
    assert_eq!((sequences(&again), again.verdict), (vec![2], Some(Verdict::lost("killed"))));
    assert_eq!(fixture.outbox.last_sequence(), 2);
}

#[test]
fn a_file_that_holds_only_what_is_confirmed_is_cut_back_but_not_for_every_trifle() {
    let mut fixture = Fixture::new();
    let line = "x".repeat(4000);
    let mut confirmed = 0;
    while confirmed == 0 || fixture.bytes() <= IDLE_BYTES {
        fixture.log(&line);
        fixture.save();
        fixture.outbox.confirm(fixture.outbox.last_sequence());
        confirmed += 1;
    }
    assert!(confirmed > 200, "{confirmed}");
    fixture.save();
    assert!(fixture.bytes() < 100, "{}", fixture.bytes());
    assert_eq!(fixture.found().confirmed, confirmed);
    fixture.log("after");
    fixture.save();
    assert_eq!(sequences(&fixture.found()), [confirmed + 1]);
}

#[test]
fn the_file_never_grows_over_its_capacity() {
    let mut fixture = Fixture::new();
    let line = "x".repeat(4000);
    // One checkpoint is never confirmed; all that comes after it is, in the end.
    fixture.outbox.push(fixture.now, SystemTime::UNIX_EPOCH, Kind::Checkpoint(CheckpointEvent::default()));
    let mut most = 0;
    for _ in 0..180 {
        for _ in 0..100 {
            fixture.log(&line);
        }
        fixture.save();
        most = most.max(fixture.bytes());
    }
    assert!(fixture.outbox.evictions() > 0 && most > CAPACITY_BYTES / 2 && most <= CAPACITY_BYTES, "{most}");
    let found = fixture.found();
    assert_eq!(found.events, fixture.outbox.after(0).cloned().collect::<Vec<_>>());
    assert!(matches!(found.events[0].event, Some(Kind::Checkpoint(_))));
}

#[test]
fn a_spool_that_cannot_be_written_is_reported_once_and_tried_again() {
    let mut fixture = Fixture::new();
    // A file stands where the folder would be.
    fs::write(folder(fixture.state.path()), "").unwrap();
    fixture.log("one");
    let message = fixture.save().unwrap();
    assert!(message.contains("a-1.spool") && message.contains("10s"), "{message}");
    fixture.log("two");
    assert_eq!(fixture.save(), None);
    assert_eq!(recover(fixture.state.path()).0.len(), 0);
    assert_eq!(fixture.spool.save_at(fixture.now), Some(fixture.now + RETRY));
    fs::remove_file(folder(fixture.state.path())).unwrap();
    fixture.now += RETRY;
    assert_eq!(fixture.save(), None);
    assert_eq!((sequences(&fixture.found()), fixture.spool.save_at(fixture.now)), (vec![1, 2], None));
}

/// A disk that does nothing until it is told to, and then remembers.
struct Stalled {
    goes_on: std::sync::mpsc::Receiver<()>,
    written: Arc<std::sync::Mutex<Vec<u8>>>,
}

impl writer::Disk for Stalled {
    fn append(&mut self, _: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let _ = self.goes_on.recv();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn replace(&mut self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        self.written.lock().unwrap().clear();
        self.append(path, bytes)
    }

    fn remove(&mut self, _: &Path) {}
}

#[test]
fn a_disk_that_stalls_holds_nobody_up_and_no_more_than_so_much_waits_for_it() {
    let mut fixture = Fixture::new();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let written = Arc::default();
    let writer = Writer::on(Stalled { goes_on, written: Arc::clone(&written) }).unwrap();
    fixture.spool = Spool::new(fixture.state.path(), header("a"), writer.clone());
    fixture.log("one");
    assert_eq!(fixture.spool.save(fixture.now, &mut fixture.outbox), None);
    assert_eq!(fixture.outbox.take_batch(fixture.now + STALL), None, "it is not on disk yet");
    assert_eq!(fixture.spool.save_at(fixture.now), Some(fixture.now + STALL));

    // A second later it goes without the disk, and people are told, once.
    fixture.now += STALL;
    let message = fixture.spool.save(fixture.now, &mut fixture.outbox).unwrap();
    assert!(message.contains("has not answered"), "{message}");
    assert_eq!(fixture.outbox.take_batch(fixture.now).map(|batch| batch.len()), Some(1));
    let line = "x".repeat(4000);
    for _ in 0..10_000 {
        fixture.log(&line);
        assert_eq!(fixture.spool.save(fixture.now, &mut fixture.outbox), None);
    }
    assert!(writer.queued_bytes() < 2 * WRITE_BYTES, "{}", writer.queued_bytes());

    // The disk goes on, and gets all.
    drop(go_on);
    let all = |written: &std::sync::Mutex<Vec<u8>>| {
        let bytes = written.lock().unwrap().clone();
        let mut rest = bytes.strip_prefix(&record::MARK).unwrap_or_default();
        std::iter::from_fn(|| record::take(&mut rest))
            .filter(|record| matches!(record, record::Record::Event(_)))
            .count()
    };
    while all(&written) < 10_001 {
        assert!(writer.flush(Duration::from_secs(60)));
        fixture.spool.save(fixture.now, &mut fixture.outbox);
    }
}

#[test]
fn a_damaged_end_is_left_out_and_later_records_are_kept() {
    let mut fixture = Fixture::new();
    fixture.log("one");
    fixture.save();
    let whole = fixture.bytes();
    fixture.log("two");
    fixture.save();
    let mut bytes = fs::read(&fixture.spool.path).unwrap();
    let torn = bytes.len() as u64 - whole;
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&fixture.spool.path, &bytes).unwrap();

    let (mut found, problems) = recover(fixture.state.path());
    assert!(problems[0].contains(&format!("the last {torn} bytes")), "{problems:?}");
    let (path, contents) = found.remove(0);
    assert_eq!(sequences(&contents), [1]);
    fixture.spool = Spool::reopen(path, contents.header.clone(), fixture.writer.clone());
    fixture.outbox = Outbox::recovered(fixture.now, contents.events, 0, Verdict::lost("killed"));
    fixture.save();
    assert_eq!(fixture.found().verdict, Some(Verdict::lost("killed")));
}

#[test]
fn what_cannot_be_read_is_named_and_half_a_rewriting_goes() {
    let state = tempfile::tempdir().unwrap();
    let folder = folder(state.path());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a-0.spool"), "something else").unwrap();
    fs::write(folder.join("b-0.spool"), record::MARK).unwrap();
    fs::write(folder.join("c-0.spool.new"), "half").unwrap();
    let (found, problems) = recover(state.path());
    assert_eq!((found.len(), problems.len()), (0, 2));
    assert!(problems[0].contains("a-0.spool") && problems[1].contains("b-0.spool"), "{problems:?}");
    assert!(!folder.join("c-0.spool.new").exists());
}

#[test]
fn no_attempt_has_a_file_elsewhere() {
    let spool = Spool::new(Path::new("/state"), header("../../etc/passwd"), Writer::start().unwrap());
    assert_eq!(spool.path, Path::new("/state/spool/------etc-passwd-1.spool"));
}

/// `tests/kept/` holds a spool that the worker of commit 8e7efc6 wrote while its coordinator was stopped.
#[test]
fn a_spool_of_an_earlier_version_is_read_and_continued() {
    const ATTEMPT: &str = "995df491-dfdc-4d79-8110-b0ad8c5e6d7d";
    let fixture = Fixture::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept").join(format!("{ATTEMPT}-0.spool"));
    fs::create_dir_all(folder(fixture.state.path())).unwrap();
    fs::copy(&kept, folder(fixture.state.path()).join(kept.file_name().unwrap())).unwrap();

    let contents = fixture.found();
    assert_eq!(contents.header, SpoolHeader { attempt_id: ATTEMPT.to_owned(), fence: 3, rank: 0 });
    assert_eq!((contents.torn_bytes, &contents.verdict), (0, &None));
    assert_eq!((contents.confirmed, sequences(&contents)), (16, (17..=30).collect::<Vec<_>>()));
    let losses = contents.events.iter().filter_map(|event| match &event.event {
        Some(Kind::Metric(metric)) if metric.name == "loss" => Some(metric.value),
        _ => None,
    });
    assert!(losses.count() > 0);
}

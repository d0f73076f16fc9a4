use std::{os::unix::fs::symlink, time::SystemTime};

use tandem_proto::v1::{CheckpointEvent, LogEvent, RankOutcome, rank_event::Event as Kind};

use super::*;
use crate::verdict::Verdict;

struct Desk {
    state: tempfile::TempDir,
    now: Instant,
    outbox: Outbox,
    spool: Spool,
}

fn whose(attempt_id: &str) -> Whose {
    Whose { attempt_id: attempt_id.to_owned(), fence: 12, rank: 1 }
}

impl Desk {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let spool = Spool::new(state.path(), whose("a"));
        Self { state, now: Instant::now(), outbox: Outbox::new(), spool }
    }

    fn log(&mut self, line: &str) {
        self.outbox.push(self.now, SystemTime::UNIX_EPOCH, Kind::Log(LogEvent { line: line.to_owned() }));
    }

    fn save(&mut self) -> Option<String> {
        self.spool.save(self.now, &self.outbox)
    }

    /// As the next process of this worker sees it.
    fn found(&self) -> Contents {
        let (mut found, problems) = leftovers(self.state.path());
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
    let mut desk = Desk::new();
    for line in ["one", "two", "three"] {
        desk.log(line);
        assert_eq!(desk.save(), None);
    }
    desk.outbox.confirm(2);
    desk.log("four");
    desk.save();
    let found = desk.found();
    assert_eq!((found.whose.clone(), sequences(&found), found.verdict.clone()), (whose("a"), vec![3, 4], None));
    assert_eq!(found.events, desk.outbox.after(0).cloned().collect::<Vec<_>>());

    let verdict = Verdict::new(RankOutcome::Preempted, "stopped with a checkpoint");
    desk.outbox.end(verdict.clone());
    desk.save();
    assert_eq!(desk.found().verdict, Some(verdict));
    desk.outbox.confirm(4);
    desk.save();
    assert_eq!(sequences(&desk.found()), Vec::<u64>::new());
    let Desk { state, spool, .. } = desk;
    spool.remove();
    assert_eq!(leftovers(state.path()), (Vec::new(), Vec::new()));
}

#[test]
fn what_was_left_behind_is_gone_on_with_and_its_numbers_too() {
    let mut desk = Desk::new();
    desk.log("one");
    desk.log("two");
    desk.save();
    let found = desk.found();
    desk.spool = Spool::reopen(desk.spool.path.clone(), &found);
    desk.outbox = Outbox::of_the_past(desk.now, found.events, found.confirmed, Verdict::lost("killed"));
    desk.outbox.confirm(1);
    desk.save();
    let again = desk.found();
    assert_eq!((sequences(&again), again.verdict), (vec![2], Some(Verdict::lost("killed"))));
    assert_eq!(desk.outbox.last_sequence(), 2);
}

#[test]
fn a_file_that_holds_only_what_is_confirmed_is_cut_back_but_not_for_every_trifle() {
    let mut desk = Desk::new();
    let line = "x".repeat(4000);
    let mut confirmed = 0;
    while confirmed == 0 || desk.bytes() <= IDLE_BYTES {
        desk.log(&line);
        desk.save();
        desk.outbox.confirm(desk.outbox.last_sequence());
        confirmed += 1;
    }
    assert!(confirmed > 200, "{confirmed}");
    desk.save();
    assert!(desk.bytes() < 100, "{}", desk.bytes());
    assert_eq!(desk.found().confirmed, confirmed);
    desk.log("after");
    desk.save();
    assert_eq!(sequences(&desk.found()), [confirmed + 1]);
}

#[test]
fn the_file_never_grows_over_its_capacity() {
    let mut desk = Desk::new();
    let line = "x".repeat(4000);
    // One checkpoint is never confirmed; all that comes after it is, in the end.
    desk.outbox.push(desk.now, SystemTime::UNIX_EPOCH, Kind::Checkpoint(CheckpointEvent::default()));
    let mut most = 0;
    for _ in 0..180 {
        for _ in 0..100 {
            desk.log(&line);
        }
        desk.save();
        most = most.max(desk.bytes());
    }
    assert!(desk.outbox.thinned() > 0 && most > CAPACITY_BYTES / 2 && most <= CAPACITY_BYTES, "{most}");
    let found = desk.found();
    assert_eq!(found.events, desk.outbox.after(0).cloned().collect::<Vec<_>>());
    assert!(matches!(found.events[0].event, Some(Kind::Checkpoint(_))));
}

#[test]
fn a_full_disk_is_told_once_and_tried_again() {
    let mut desk = Desk::new();
    fs::create_dir_all(folder(desk.state.path())).unwrap();
    symlink("/dev/full", folder(desk.state.path()).join("a-1.spool.new")).unwrap();
    desk.log("one");
    let told = desk.save().unwrap();
    assert!(told.contains("a-1.spool") && told.contains("space") && told.contains("10s"), "{told}");
    desk.log("two");
    assert_eq!(desk.save(), None);
    assert_eq!(leftovers(desk.state.path()).0.len(), 0);
    assert_eq!(desk.spool.retry_at(), Some(desk.now + RETRY));
    // Room was made.
    desk.now += RETRY;
    assert_eq!(desk.save(), None);
    assert_eq!((sequences(&desk.found()), desk.spool.retry_at()), (vec![1, 2], None));

    // It fills up again: what is there stays whole, and is written anew later.
    desk.spool.file = Some(File::options().append(true).open("/dev/full").unwrap());
    desk.log("three");
    assert_eq!(desk.save(), None, "people were told before");
    assert_eq!(sequences(&desk.found()), [1, 2]);
    desk.now += RETRY;
    desk.save();
    assert_eq!(sequences(&desk.found()), [1, 2, 3]);
}

#[test]
fn a_damaged_end_is_left_out_and_what_follows_it_is_kept_again() {
    let mut desk = Desk::new();
    desk.log("one");
    desk.save();
    let whole = desk.bytes();
    desk.log("two");
    desk.save();
    let mut bytes = fs::read(&desk.spool.path).unwrap();
    let torn = bytes.len() as u64 - whole;
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&desk.spool.path, &bytes).unwrap();

    let (mut found, problems) = leftovers(desk.state.path());
    assert!(problems[0].contains(&format!("the last {torn} bytes")), "{problems:?}");
    let (path, contents) = found.remove(0);
    assert_eq!(sequences(&contents), [1]);
    desk.spool = Spool::reopen(path, &contents);
    desk.outbox = Outbox::of_the_past(desk.now, contents.events, 0, Verdict::lost("killed"));
    desk.save();
    assert_eq!(desk.found().verdict, Some(Verdict::lost("killed")));
}

#[test]
fn what_cannot_be_read_is_named_and_half_a_rewriting_goes() {
    let state = tempfile::tempdir().unwrap();
    let folder = folder(state.path());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a-0.spool"), "something else").unwrap();
    fs::write(folder.join("b-0.spool"), record::MARK).unwrap();
    fs::write(folder.join("c-0.spool.new"), "half").unwrap();
    let (found, problems) = leftovers(state.path());
    assert_eq!((found.len(), problems.len()), (0, 2));
    assert!(problems[0].contains("a-0.spool") && problems[1].contains("b-0.spool"), "{problems:?}");
    assert!(!folder.join("c-0.spool.new").exists());
}

#[test]
fn no_attempt_has_a_file_elsewhere() {
    let spool = Spool::new(Path::new("/state"), whose("../../etc/passwd"));
    assert_eq!(spool.path, Path::new("/state/spool/------etc-passwd-1.spool"));
}

//! A house through an archive: the same rows and files, and nothing of the moment.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use sha2::{Digest, Sha256};
use tandem_archive::{Begin, Manifest, Table, Taken, Writer, check, part_name};
use tandem_domain::state::RankOutcome;
use tandem_proto::v1::{ArtifactEvent, CheckpointEvent, rank_event::Event};
use tokio_stream::StreamExt as _;

use super::*;
use crate::{
    backup::{failed::Failed, restore::Restore, say::Say, take::take, work::Work},
    report::{Receipt, rank_ended, report},
    store::{
        backups, dump, house, load,
        schema::{OpenError, known_version, open_empty},
    },
    store_folder::StoreFolder,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Not in an archive, or another in another house.
const OF_THE_MOMENT: [&str; 11] = [
    "_sqlx_migrations",
    "backups",
    "device_facts",
    "heartbeats",
    "samples",
    "web_codes",
    "web_sessions",
    "access_version",
    "house",
    "leader",
    "audit",
];

/// A house with an ended job, a running one with a checkpoint, people and sessions.
struct Sample {
    database: TestStore,
    folder: StoreFolder,
    ended: Uuid,
    running: Uuid,
    holder: LeaseHolder,
}

impl Sample {
    async fn make() -> Self {
        let database = TestStore::open().await;
        let folder = StoreFolder::open(&database.folder.path().join("store")).unwrap();
        database.workers(1).await;
        let ended = ids(&database.submit(&single(1)).await)[0];
        database.schedule(&database.scheduler(), &mut None).await;
        let holder = database.lease_holders(ended)[0];
        let artifact = file(&folder, &format!("jobs/{ended}/artifacts/f{}/e.safetensors", holder.fence), b"weights");
        send(&database, &folder, holder, 1, Event::Artifact(artifact)).await;
        assert_eq!(rank_ended(&database.store, holder, RankOutcome::Succeeded, "").await.unwrap(), Receipt::Stored);
        database.execute(
            "UPDATE attempts SET state = 'succeeded', ended_at = now(); UPDATE progress SET phase = '';
                          UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE state = 'running'",
        );
        let running = ids(&database.submit(&single(2)).await)[0];
        database.execute("UPDATE leader SET expires_at = now() - interval '1 s'");
        database.schedule(&database.scheduler(), &mut None).await;
        let holder = database.lease_holders(running)[0];
        let sample = Self { database, folder, ended, running, holder };
        for (sequence, step) in [(1, 8), (2, 16), (3, 24), (4, 32)] {
            sample.checkpoint(sequence, step).await;
        }
        sample.database.execute(
            "INSERT INTO people (name, role) VALUES ('ann', 'admin');
             INSERT INTO tokens (id, role, person, name, hash, made_by) VALUES
                 ('aaaaaaaa', 'admin', 'ann', 'laptop', decode(repeat('01', 32), 'hex'), 'test');
             INSERT INTO tokens (id, role, name, hash, made_by, worker_id)
                 SELECT 'bbbbbbbb', 'worker', 'cpu-0', decode(repeat('02', 32), 'hex'), 'test', id FROM workers;
             INSERT INTO web_sessions (hash, token, expires_at)
                 VALUES (decode(repeat('03', 32), 'hex'), 'aaaaaaaa', now() + interval '1 day');
             INSERT INTO audit (at, who, via, origin, what, object, whose, outcome)
                 VALUES ('2019-03-05', 'ann', '', '', 'Jobs/Cancel', 'x', '', E'tab\\t and \\\\ and \\n line');
             INSERT INTO notify_targets (id, person, kind, address, finished, failed, job_failed, device_lost, of_all)
                 VALUES ('cccccccc', 'ann', 'mail', 'a@b', true, true, true, true, true);
             INSERT INTO tells (id, event, target_id, message, next_try, made_at)
                 VALUES (gen_random_uuid(), 'e', 'cccccccc', '{}', now(), now());
             INSERT INTO datasets (name, owner, sha256, bytes) VALUES ('half', 'ann', 'ab', 10);",
        );
        sample
    }

    /// A checkpoint as `learn` writes it.
    async fn checkpoint(&self, sequence: u64, step: u64) {
        let path = format!("jobs/{}/step-{step:08}-f{}", self.running, self.holder.fence);
        let state = format!("state of {step}");
        file(&self.folder, &format!("{path}/state.safetensors"), state.as_bytes());
        let manifest =
            format!(r#"{{"format":1,"files":[{{"name":"state.safetensors","sha256":"{}"}}]}}"#, sum(state.as_bytes()));
        let written = file(&self.folder, &format!("{path}/manifest.json"), manifest.as_bytes());
        let path = self.folder.root.join(path).display().to_string();
        let event = CheckpointEvent { step, path, sha256: written.sha256, bytes: 9, state_sha256: String::new() };
        send(&self.database, &self.folder, self.holder, sequence, Event::Checkpoint(event)).await;
    }

    fn archive(&self) -> PathBuf {
        self.database.folder.path().join("house.tar")
    }

    async fn take(&self) -> Result<Taken, Failed> {
        let work = Work::new(self.archive());
        take(&self.database.store, &self.folder.root, &work, LIMIT, &Say::new(false)).await
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(folder: &StoreFolder, path: &str, bytes: &[u8]) -> ArtifactEvent {
    let place = folder.root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, bytes).unwrap();
    let (kind, name, uri) = ("encoder".to_owned(), "e.safetensors".to_owned(), path.to_owned());
    ArtifactEvent { kind, name, uri, sha256: sum(bytes), bytes: bytes.len() as u64 }
}

async fn send(database: &TestStore, folder: &StoreFolder, holder: LeaseHolder, sequence: u64, what: Event) {
    let stored = report(&database.store, &folder.root, holder, &[event(sequence, what)]).await.unwrap();
    assert_eq!(stored, Receipt::Stored);
}

/// An empty database, and where its files are to be.
struct Empty(TestDatabase);

impl Empty {
    fn new() -> Self {
        Self(TestDatabase::create())
    }

    fn restore(&self, archive: PathBuf, keep_tokens: bool) -> Restore {
        let path = |name: &str| self.0.folder.path().join(name);
        Restore::new(archive, self.0.url(), None, path("store"), path("receipt.key"), keep_tokens)
    }
}

/// All rows of a table, in the order of their texts.
fn rows(database: &TestDatabase, table: &str) -> Vec<String> {
    database.values(&format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1"))
}

fn tables(database: &TestDatabase) -> Vec<String> {
    database.values(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
         AND NOT relispartition ORDER BY 1",
    )
}

#[tokio::test]
async fn a_house_is_restored_with_every_row_and_file_and_is_another_one() {
    let sample = Sample::make().await;
    let taken = sample.take().await.unwrap();
    assert_eq!(
        (taken.problems.len(), fs::metadata(sample.archive()).unwrap().permissions().mode() & 0o777),
        (0, 0o600)
    );
    // The artifact, and four checkpoints of two files.
    assert_eq!(taken.files, 9);
    assert_eq!(sample.database.count("backups"), 0, "files may be removed again");
    let empty = Empty::new();
    let restored = empty.restore(sample.archive(), false).run(&Say::new(false)).await.unwrap();
    let (old, new) = (&sample.database.database, &empty.0);
    assert_eq!(tables(new), tables(old));
    let changed = [
        "attempts",
        "leases",
        "jobs",
        "workers",
        "tokens",
        "events",
        "tells",
        "datasets",
        "receipt_keys",
        "progress",
        "device_use",
        "happenings",
    ];
    for table in tables(old).iter().filter(|table| !OF_THE_MOMENT.contains(&table.as_str())) {
        if !changed.contains(&table.as_str()) {
            assert_eq!(rows(new, table), rows(old, table), "{table}");
        }
    }
    let of = |id: Uuid| format!("SELECT to_jsonb(j)::text FROM jobs j WHERE id = '{id}'");
    assert_eq!(new.text(&of(sample.ended)), old.text(&of(sample.ended)));
    // What was long ago is in a part of its own again, and no letter of it is another.
    let audited = |database: &TestDatabase| database.text("SELECT outcome FROM audit WHERE at < '2020-01-01'");
    assert_eq!(audited(new), audited(old));
    for kept in ["e.safetensors", "manifest.json", "state.safetensors"] {
        let find = |root: &std::path::Path| {
            let found = std::process::Command::new("find").arg(root).args(["-name", kept]).output().unwrap();
            String::from_utf8(found.stdout).unwrap().lines().count()
        };
        assert_eq!(find(&new.folder.path().join("store")), find(&sample.folder.root), "{kept}");
    }

    // It is another house, above all that was.
    let ids: Vec<Uuid> = [old, new].map(|database| database.value("SELECT id FROM house")).to_vec();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(new.value::<Uuid>("SELECT restored_from FROM house"), ids[0]);
    assert_eq!((restored.house, restored.former_house), (ids[1].to_string(), ids[0].to_string()));
    let fence: i64 = new.value("SELECT nextval('fence')");
    assert!(fence > sample.holder.fence + 1_000_000 && restored.fence < fence, "{fence}");
    let term = |database: &TestDatabase| database.value::<i64>("SELECT term FROM leader");
    assert!(term(new) > term(old));

    // Nothing runs, by nobody's fault, and the job goes on.
    assert_eq!(restored.ended, 1);
    assert_eq!(new.count("leases WHERE released_at IS NULL"), 0);
    assert_eq!(new.count("workers WHERE state <> 'gone'"), 0);
    let attempt = format!("SELECT state::text FROM attempts WHERE id = '{}'", sample.holder.attempt);
    assert_eq!(new.text(&attempt), "preempted");
    assert_eq!(
        new.text(&format!("SELECT outcome::text FROM leases WHERE attempt_id = '{}'", sample.holder.attempt)),
        "preempted"
    );
    let job =
        new.rows::<(String, String)>(&format!("SELECT state::text, reason FROM jobs WHERE id = '{}'", sample.running));
    assert!(job[0].0 == "queued" && job[0].1.contains("the house was restored from a backup of"), "{job:?}");
    assert_eq!(new.count(&format!("checkpoints WHERE job_id = '{}'", sample.running)), 4);
    // Used is what was used until then, and no more.
    let used: f64 = new.value("SELECT sum(seconds) FROM device_use");
    assert!(used < 600.0, "{used}");

    // Nobody is in any more, and nobody is told twice.
    assert_eq!(restored.revoked, 2);
    assert_eq!(new.count("tokens WHERE revoked_at IS NULL"), 0);
    assert_eq!(new.count("web_sessions"), 0);
    assert_eq!(new.count("tells WHERE state = 'pending'"), 0);
    assert_eq!(new.count("datasets"), 0, "what had not arrived");
    assert_eq!(new.count("audit WHERE what = 'restore'"), 1);
    // A coordinator starts on it, and what signs receipts is new.
    open(&new.url(), None).await.unwrap();
    assert_eq!(new.count("receipt_keys"), old.count("receipt_keys") + 1);
}

#[tokio::test]
async fn a_report_of_the_former_house_changes_nothing_in_the_new_one() {
    let sample = Sample::make().await;
    sample.take().await.unwrap();
    let empty = Empty::new();
    empty.restore(sample.archive(), false).run(&Say::new(false)).await.unwrap();
    let store = open(&empty.0.url(), None).await.unwrap();
    let before: Vec<_> =
        ["metrics", "checkpoints", "results", "jobs", "attempts"].map(|table| rows(&empty.0, table)).into();
    // A worker that trained on, and a house that gave out more fences.
    let later = LeaseHolder { fence: sample.holder.fence + 1, ..sample.holder };
    for holder in [sample.holder, later] {
        let saved = Event::Checkpoint(CheckpointEvent { step: 99, path: "jobs/x".to_owned(), ..Default::default() });
        let answer = report(&store, &sample.folder.root, holder, &[event(9, saved)]).await.unwrap();
        assert_eq!(answer, Receipt::Stale);
        assert_eq!(rank_ended(&store, holder, RankOutcome::Succeeded, "").await.unwrap(), Receipt::Stale);
    }
    let after: Vec<_> =
        ["metrics", "checkpoints", "results", "jobs", "attempts"].map(|table| rows(&empty.0, table)).into();
    assert_eq!(before, after);
}

#[tokio::test]
async fn people_keep_their_tokens_if_it_is_said_and_workers_never() {
    let sample = Sample::make().await;
    sample.take().await.unwrap();
    let empty = Empty::new();
    empty.restore(sample.archive(), true).run(&Say::new(false)).await.unwrap();
    assert_eq!(empty.0.values::<String>("SELECT id FROM tokens WHERE revoked_at IS NULL"), ["aaaaaaaa"]);
    assert_eq!(empty.0.count("web_sessions"), 0);
}

#[tokio::test]
async fn what_is_gone_or_damaged_is_named_and_the_rest_is_kept() {
    let sample = Sample::make().await;
    let folder =
        |step: u64| sample.folder.root.join(format!("jobs/{}/step-{step:08}-f{}", sample.running, sample.holder.fence));
    // The oldest is one that a rank may remove: nobody misses it.
    fs::remove_dir_all(folder(8)).unwrap();
    fs::remove_dir_all(folder(16)).unwrap();
    fs::write(folder(24).join("state.safetensors"), "state of 2?").unwrap();
    fs::remove_file(folder(32).join("state.safetensors")).unwrap();
    let secret = sample.database.folder.path().join("secret");
    fs::write(&secret, "the house's key").unwrap();
    let artifact =
        fs::read_dir(sample.folder.root.join(format!("jobs/{}/artifacts", sample.ended))).unwrap().next().unwrap();
    let artifact = artifact.unwrap().path().join("e.safetensors");
    fs::remove_file(&artifact).unwrap();
    std::os::unix::fs::symlink(&secret, &artifact).unwrap();
    let taken = sample.take().await.unwrap();
    let said: Vec<String> = taken.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.why)).collect();
    assert_eq!(said.len(), 4, "{said:#?}");
    for (step, file, why) in [
        (16, "", "it is missing"),
        (24, "/state.safetensors", "it is damaged"),
        (32, "/state.safetensors", "it is missing"),
    ] {
        let path = folder(step).strip_prefix(&sample.folder.root).unwrap().display().to_string() + file;
        assert!(said.iter().any(|said| said.starts_with(&format!("{path}: {why}"))), "{path} in {said:#?}");
    }
    assert!(said.iter().any(|said| said.ends_with("a link leads out of the store")), "{said:#?}");
    let bytes = fs::read(sample.archive()).unwrap();
    assert!(!bytes.windows(15).any(|window| window == b"the house's key"));
    // Three manifests less one, and the damaged state as it is.
    assert_eq!(taken.files, 3);
    let manifest = check(&sample.archive(), &mut |_| {}).unwrap();
    assert_eq!(manifest.problems, taken.problems);
}

/// The archive of a sample, altered by somebody who makes its sums right.
async fn forged(alter: impl FnOnce(&mut Begin, &mut Manifest, &mut Vec<(String, Vec<u8>)>)) -> (Empty, Failed) {
    let sample = Sample::make().await;
    sample.take().await.unwrap();
    let mut parts = Vec::new();
    let mut numbers = std::collections::BTreeMap::<String, u64>::new();
    let mut manifest = tandem_archive::visit(&sample.archive(), &mut |_| {}, &mut |kind, _, bytes| {
        let mut text = Vec::new();
        bytes.read_to_end(&mut text).unwrap();
        if let tandem_archive::Kind::Rows { table } = kind {
            let number = numbers.entry(table.to_owned()).or_default();
            parts.push((part_name(table, *number), text));
            *number += 1;
        }
        Ok(())
    })
    .unwrap();
    let mut begin = manifest.begin.clone();
    alter(&mut begin, &mut manifest, &mut parts);
    manifest.begin = begin.clone();
    let path = sample.database.folder.path().join("forged.tar");
    let mut writer = Writer::create(&path, &begin, Default::default(), Default::default()).unwrap();
    parts.iter().for_each(|(name, text)| writer.bytes(name, text).unwrap());
    writer.finish(&manifest).unwrap();
    let empty = Empty::new();
    let failed = empty.restore(path, false).run(&Say::new(false)).await.expect_err("a forged archive was taken");
    (empty, failed)
}

#[tokio::test]
async fn a_newer_archive_is_refused_before_anything_is_made() {
    let (empty, failed) = forged(|begin, _, _| begin.schema = 9999).await;
    assert!(
        failed.message.contains("schema version 9999") && failed.message.contains("Nothing was changed"),
        "{failed}"
    );
    assert!(tables(&empty.0).is_empty() && !empty.0.folder.path().join("store").exists());
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_and_nobody_can_use_what_is_there() {
    type Alter = fn(&mut Begin, &mut Manifest, &mut Vec<(String, Vec<u8>)>);
    let cases: [(&str, Alter); 6] = [
        ("it has a table \"evil\"", |_, manifest, _| manifest.tables[0].name = "evil".to_owned()),
        ("has the columns", |_, manifest, _| manifest.tables[0].columns[0] = "id\"; DROP TABLE jobs; --".to_owned()),
        ("it has no table", |_, manifest, _| manifest.tables.retain(|table| table.name != "jobs")),
        ("it has a sequence \"evil\"", |_, manifest, _| manifest.sequences[0].name = "evil".to_owned()),
        ("rows in the archive, and", |_, _, parts| parts.retain(|(name, _)| !name.contains("/experiments/"))),
        // A job of an experiment that is not there.
        ("does not take the rows of all tables", |_, manifest, parts| {
            parts.retain(|(name, _)| !name.contains("/experiments/"));
            manifest.tables.iter_mut().filter(|table| table.name == "experiments").for_each(|table| table.rows = 0);
        }),
    ];
    for (words, alter) in cases {
        let (empty, failed) = forged(alter).await;
        assert!(failed.message.contains(words), "{words}: {failed}");
        let refused = open(&empty.0.url(), None).await.unwrap_err();
        assert!(matches!(refused, OpenError::Unfinished { .. }), "{words}: {refused}");
        // What broke off is not gone on with.
        let again = empty.restore(PathBuf::from("/absent"), false);
        assert!(again.run(&Say::new(false)).await.is_err());
        if empty.0.count("pg_class WHERE relname = 'jobs'") > 0 {
            assert_eq!(empty.0.count("jobs"), 0, "{words}");
        }
    }
}

#[tokio::test]
async fn a_used_house_or_folder_is_refused_and_left_as_it_is() {
    let sample = Sample::make().await;
    sample.take().await.unwrap();
    let other = TestStore::open().await;
    let onto = |database: &TestDatabase| {
        let path = |name: &str| database.folder.path().join(name);
        Restore::new(sample.archive(), database.url(), None, path("new"), path("receipt.key"), false)
    };
    let failed = onto(&other.database).run(&Say::new(false)).await.unwrap_err();
    assert!(failed.message.contains("holds a house already") && failed.exit == 78, "{failed}");
    other.submit(&single(9)).await;
    let failed = onto(&other.database).run(&Say::new(false)).await.unwrap_err();
    assert!(failed.message.contains("experiments: 1"), "{failed}");
    assert_eq!(other.count("jobs"), 1);
    let empty = Empty::new();
    let store = empty.0.folder.path().join("store");
    fs::create_dir(&store).unwrap();
    fs::write(store.join("a"), "mine").unwrap();
    let failed = empty.restore(sample.archive(), false).run(&Say::new(false)).await.unwrap_err();
    assert!(failed.message.contains("it is not empty"), "{failed}");
    assert!(tables(&empty.0).is_empty() && fs::read(store.join("a")).unwrap() == b"mine");
}

#[tokio::test]
async fn an_older_archive_is_brought_up_to_date() {
    const OLD: i64 = 24;
    let old = Empty::new();
    let mut house = open_empty(&old.0.url(), None).await.unwrap();
    house.migrate(Some(OLD)).await.unwrap();
    load::unmark(&mut house.conn).await.unwrap();
    let experiment = Uuid::new_v4();
    old.0.execute(&format!(
        "INSERT INTO experiments (id, name, owner, toml, file_name, fresh) VALUES ('{experiment}', 'old', 'ann', '', 'a.toml', false)"
    ));
    let taken_at = dump::begin(&mut house.conn, LIMIT).await.unwrap();
    let begin = Begin { format: 1, program: "0".to_owned(), schema: OLD, house: Uuid::new_v4().to_string(), taken_at };
    let path = old.0.folder.path().join("older.tar");
    let mut writer = Writer::create(&path, &begin, Default::default(), Default::default()).unwrap();
    let mut manifest = Manifest {
        begin,
        tables: Vec::new(),
        sequences: dump::sequences(&mut house.conn).await.unwrap(),
        partitions: Vec::new(),
        files: 0,
        file_bytes: 0,
        problems: Vec::new(),
        problems_left_out: 0,
    };
    for (name, columns) in dump::tables(&mut house.conn).await.unwrap() {
        let mut rows = dump::rows(&mut house.conn, &name, &columns).await.unwrap();
        let (mut text, mut count) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await.unwrap() {
            text.extend_from_slice(&row);
            count += 1;
        }
        writer.bytes(&part_name(&name, 0), &text).unwrap();
        manifest.tables.push(Table { name, columns, rows: count, parts: 1 });
    }
    writer.finish(&manifest).unwrap();
    let empty = Empty::new();
    empty.restore(path, false).run(&Say::new(false)).await.unwrap();
    let newest: i64 = empty.0.value("SELECT max(version) FROM _sqlx_migrations");
    assert!(newest == known_version() && newest > OLD);
    assert_eq!(empty.0.value::<Uuid>("SELECT id FROM experiments"), experiment);
    open(&empty.0.url(), None).await.unwrap();
}

#[tokio::test]
async fn files_are_kept_while_a_backup_is_taken_and_no_longer_than_it_lives() {
    let database = TestStore::open().await;
    let is_taken = async || backups::is_taken(&mut database.store.conn().await.unwrap()).await.unwrap();
    assert!(!is_taken().await);
    let id = Uuid::new_v4();
    let mut conn = database.store.conn().await.unwrap();
    backups::begin(&mut conn, id, "test", LIMIT).await.unwrap();
    assert!(is_taken().await);
    assert!(backups::renew(&mut conn, id, LIMIT, 2 * LIMIT).await.unwrap());
    // One that was killed is not renewed.
    database.execute("UPDATE backups SET expires_at = now() - interval '1 s'");
    assert!(!is_taken().await);
    assert!(!backups::renew(&mut conn, id, LIMIT, 2 * LIMIT).await.unwrap(), "files may be gone by now");
    // However it goes on, there is an end.
    backups::begin(&mut conn, Uuid::new_v4(), "test", LIMIT).await.unwrap();
    database.execute("UPDATE backups SET began_at = now() - interval '1 day', id = gen_random_uuid()");
    let id: Uuid = database.value("SELECT id FROM backups");
    backups::renew(&mut conn, id, LIMIT, 2 * LIMIT).await.unwrap();
    assert!(!is_taken().await);
}

#[tokio::test]
async fn a_snapshot_that_takes_too_long_is_given_up_and_leaves_nothing() {
    let sample = Sample::make().await;
    let work = Work::new(sample.archive());
    let took = take(&sample.database.store, &sample.folder.root, &work, Duration::ZERO, &Say::new(false)).await;
    let failed = took.unwrap_err();
    assert!(failed.message.contains("--snapshot-limit") && failed.exit == 75, "{failed}");
    assert!(!sample.archive().exists());
    assert_eq!(sample.database.count("backups"), 0);
}

#[tokio::test]
async fn a_restored_house_knows_which_workers_are_of_before() {
    let database = TestStore::open().await;
    let worker = database.workers(1).await[0];
    let mut conn = database.store.conn().await.unwrap();
    assert!(!house::knew_before(&mut conn, worker).await.unwrap());
    database.execute("UPDATE house SET restored_from = id, backup_at = now(), restored_at = clock_timestamp()");
    assert!(house::knew_before(&mut conn, worker).await.unwrap());
    let new = database.workers(2).await[1];
    assert!(!house::knew_before(&mut conn, new).await.unwrap());
}

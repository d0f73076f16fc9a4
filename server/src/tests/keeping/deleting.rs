use tandem_domain::state::{JobEvent, JobState, RankOutcome};

use super::*;
use crate::{
    query::{jobs::list, results, show::show},
    receipts,
    report::rank_ended,
    sharing::requeue::requeue,
    store::{experiments, jobs, stored},
};

async fn listed(database: &TestStore) -> usize {
    list(&mut database.store.conn().await.unwrap(), "ada", "", &[], 100).await.unwrap().0.len()
}

async fn bytes_of(database: &TestStore, who: &str) -> i64 {
    stored::of(&mut database.store.conn().await.unwrap(), who).await.unwrap()
}

#[tokio::test]
async fn what_is_shared_stays_with_the_other_and_goes_with_the_last() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    assert_eq!(submit_as(&database, "bob", &experiment(1)).await, jobs);
    succeed(&database, &jobs, 0).await;
    database.execute(
        "INSERT INTO results (job_id, name, value, fence, at, stage) SELECT id, 'loss', 1, 1, now(), stage FROM jobs",
    );
    assert_eq!((bytes_of(&database, "ada").await, bytes_of(&database, "bob").await), (360, 0));

    let first = deletes(&database, "ada", "quickstart", NOW).await.unwrap();
    assert!(first.jobs.gone.is_empty() && first.experiments.len() == 1);
    let why: Vec<_> = first.jobs.stays.iter().map(|one| one.why.join(", ")).collect();
    assert_eq!(why, ["bob's `quickstart` has it"; 3]);
    assert_eq!((bytes_of(&database, "ada").await, bytes_of(&database, "bob").await), (0, 360), "it counts for bob now");
    assert_eq!(database.text("SELECT DISTINCT owner FROM jobs"), "bob");
    assert_eq!(listed(&database).await, 3, "bob's are still seen");
    let known = results::Question { own: "bob", target: "", stage: "", best: "", ascending: false, limit: 9 };
    assert_eq!(results::query(&mut database.store.conn().await.unwrap(), known).await.unwrap().len(), 3);

    let last = deletes(&database, "bob", "quickstart", NOW).await.unwrap();
    assert!(last.jobs.stays.is_empty());
    let (files, bytes): (Vec<_>, Vec<_>) = last.jobs.gone.iter().map(|job| (job.files, job.bytes)).unzip();
    assert_eq!((files, bytes), (vec![3; 3], vec![120; 3]));
    assert_eq!((bytes_of(&database, "bob").await, listed(&database).await), (0, 0));
    assert_eq!(results::query(&mut database.store.conn().await.unwrap(), known).await.unwrap().len(), 0);
    for gone in ["results", "artifacts", "checkpoints", "experiment_jobs", "job_files"] {
        assert_eq!(database.count(gone), 0, "{gone}");
    }
    assert_eq!(database.count("removals WHERE is_whole AND path = 'jobs/' || job_id"), 3);
    assert_eq!(database.count("events WHERE kind = 'deleted' AND message = 'deleted by bob'"), 3);
    assert_eq!(
        database.count("audit WHERE what = 'Keeping/Delete' AND outcome = 'done' AND object LIKE 'quickstart %'"),
        2
    );
    let conn = &mut *database.store.conn().await.unwrap();
    for target in ["quickstart", &jobs[0].to_string(), &first.targets[0].to_string()] {
        assert!(matches!(show(conn, target, "bob").await, Err(Error::NotFound(_))), "{target} is still found");
    }
}

#[tokio::test]
async fn a_receipt_says_who_brought_a_job_whoever_has_it_by_now() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    submit_as(&database, "bob", &experiment(1).replace("quickstart", "other")).await;
    succeed(&database, &jobs, 0).await;
    let facts = async |job| {
        let conn = &mut *database.store.conn().await.unwrap();
        serde_json::to_value(crate::store::receipts::facts(conn, job).await.unwrap().unwrap()).unwrap()
    };
    let before = facts(jobs[0]).await;
    assert_eq!(before["job"]["experiment"], "quickstart");
    deletes(&database, "ada", "quickstart", NOW).await.unwrap();
    assert_eq!(
        database.text("SELECT DISTINCT e.name FROM jobs j JOIN experiments e ON e.id = j.experiment_id"),
        "other"
    );
    assert_eq!(facts(jobs[0]).await, before, "or it would say that a row was altered");
}

#[tokio::test]
async fn a_submit_afterwards_runs_anew() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs, 0).await;
    deletes(&database, "ada", "quickstart", NOW).await.unwrap();
    let again = database.submit(&experiment(1)).await;
    assert!(again.jobs.iter().all(|job| job.reused.is_none() && !jobs.contains(&job.id.unwrap())), "{again:?}");
    let states = "SELECT string_agg(DISTINCT state::text, ' ' ORDER BY state::text) FROM jobs WHERE deleted_at IS NULL";
    assert_eq!(database.text(states), "blocked queued");

    // Nor is one taken up that was cancelled and had a checkpoint.
    let one = submit_as(&database, "ada", &single(7)).await[0];
    put_checkpoint(&mut database.store.conn().await.unwrap(), one, 1, 8).await;
    deletes(&database, "ada", "single", CANCEL).await.unwrap();
    assert_ne!(submit_as(&database, "ada", &single(7)).await[0], one);
}

#[tokio::test]
async fn a_dry_run_says_all_of_it_and_changes_nothing() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs[..1], 0).await;
    let state = || {
        database.text(
            "SELECT concat((SELECT string_agg(j::text, '|' ORDER BY id) FROM jobs j), (SELECT count(*) FROM experiment_jobs),
                 (SELECT count(*) FROM events), (SELECT count(*) FROM audit), (SELECT count(*) FROM removals),
                 (SELECT string_agg(e::text, '|' ORDER BY id) FROM experiments e), (SELECT sum(bytes) FROM job_files))",
        )
    };
    let before = state();
    let why = refusal(deletes(&database, "ada", "quickstart", DRY).await);
    assert!(why.contains("and nobody else wants it; cancel it first: tandem cancel quickstart"), "{why}");
    let would = deletes(&database, "ada", "quickstart", How { cancel: true, ..DRY }).await.unwrap();
    assert_eq!((would.jobs.gone.len(), would.jobs.cancelled.len(), would.experiments.len()), (3, 2, 1));
    assert_eq!(state(), before);
    let done = deletes(&database, "ada", "quickstart", CANCEL).await.unwrap();
    assert_eq!((done.jobs.gone.len(), done.jobs.cancelled.len(), done.experiments.len()), (3, 2, 1));
    assert_eq!(database.count("jobs WHERE deleted_at IS NULL"), 0);
}

#[tokio::test]
async fn what_runs_is_not_deleted_unless_it_is_to_be_cancelled_and_then_at_once() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    database.schedule(&database.scheduler(), &mut None).await;
    let why = refusal(deletes(&database, "ada", "quickstart", NOW).await);
    assert!(why.contains("--cancel"), "{why}");
    assert_eq!(database.count("experiment_jobs"), 3, "a refusal changes nothing");
    deletes(&database, "ada", "quickstart", CANCEL).await.unwrap();
    assert_eq!(database.text("SELECT DISTINCT state::text FROM jobs"), "cancelled");
    assert_eq!(database.text("SELECT state::text FROM attempts"), "cancelled");
    assert_eq!(database.count(&format!("jobs WHERE deleted_at IS NOT NULL AND id = '{}'", jobs[0])), 1);

    // What bob wants, too, goes on for him.
    submit_as(&database, "ada", &single(3)).await;
    let shared = submit_as(&database, "bob", &single(3)).await[0];
    let taken = deletes(&database, "ada", "single", NOW).await.unwrap();
    assert_eq!((taken.jobs.gone.len(), taken.jobs.stays.len()), (0, 1));
    assert_eq!(
        database.text(&format!("SELECT owner || ' ' || state::text FROM jobs WHERE id = '{shared}'")),
        "bob queued"
    );
}

#[tokio::test]
async fn one_job_goes_unless_something_starts_from_it() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs, 0).await;
    let why = refusal(deletes(&database, "ada", "quickstart/encoder", NOW).await);
    assert!(why.contains("`linear[label_fraction=0.1]`") && why.contains("the experiment as a whole"), "{why}");
    for job in [jobs[1], jobs[2]] {
        let gone = deletes(&database, "ada", &job.to_string(), NOW).await.unwrap();
        assert!(gone.jobs.gone.len() == 1 && gone.experiments.is_empty(), "{gone:?}");
    }
    let last = deletes(&database, "ada", "quickstart/encoder", NOW).await.unwrap();
    assert_eq!((last.jobs.gone.len(), last.experiments.len()), (1, 1), "an experiment without jobs goes with the last");
}

#[tokio::test]
async fn what_others_start_from_stays_until_they_go() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs, 0).await;
    // As if bob had one of them from a time when the encoder was another job.
    database.execute(&format!(
        "WITH bobs AS (INSERT INTO experiments (id, name, owner, toml, file_name, fresh)
                       VALUES (gen_random_uuid(), 'bobs', 'bob', '', '', false) RETURNING id)
         INSERT INTO experiment_jobs SELECT id, 'own', '{}', 0, true FROM bobs",
        jobs[1]
    ));
    let taken = deletes(&database, "ada", "quickstart", NOW).await.unwrap();
    let gone: Vec<Uuid> = taken.jobs.gone.iter().map(|job| job.id).collect();
    assert_eq!(gone, [jobs[2]]);
    let why = |id| taken.jobs.stays.iter().find(|one| one.job == id).unwrap().why.join(", ");
    assert_eq!(why(jobs[1]), "bob's `bobs` has it");
    assert_eq!(why(jobs[0]), "`bobs/own` starts from it");
    assert_eq!(database.count(&format!("artifacts WHERE job_id = '{}'", jobs[0])), 1, "its files are needed");
    let rest = deletes(&database, "bob", "bobs", NOW).await.unwrap();
    assert_eq!(rest.jobs.gone.len(), 2, "the encoder goes with what started from it");
    assert_eq!(database.count("jobs WHERE deleted_at IS NULL"), 0);
}

#[tokio::test]
async fn what_is_run_anew_is_needed_until_that_has_ended() {
    let database = TestStore::open().await;
    let job = submit_as(&database, "ada", &single(1)).await[0];
    succeed(&database, &[job], 0).await;
    let again = submit_as(&database, "bob", &single(2)).await[0];
    database.execute(&format!("UPDATE jobs SET reproduces = '{job}' WHERE id = '{again}'"));
    let taken = deletes(&database, "ada", &job.to_string(), NOW).await.unwrap();
    assert_eq!(taken.jobs.stays[0].why, ["`single/encoder` starts from it"]);
    succeed(&database, &[again], 0).await;
    let both = deletes(&database, "bob", "single", NOW).await.unwrap();
    assert_eq!(both.jobs.gone.len(), 2, "it goes with what ran it anew");
    let folder = tempfile::tempdir().unwrap();
    let folder = crate::store_folder::StoreFolder::open(folder.path()).unwrap();
    let gone = receipts::again(&database.store, &folder, &person("bob"), job, false).await.err().unwrap();
    assert!(matches!(gone, Error::Refused(_)), "{gone}");
}

#[tokio::test]
async fn one_deletes_ones_own_and_an_admin_everything() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &single(1)).await;
    succeed(&database, &jobs, 0).await;
    for target in ["single", &jobs[0].to_string(), "ada/single"] {
        let refused = deletes(&database, "eve", target, NOW).await;
        let Err(Error::Forbidden(why)) = refused else { panic!("{target}: {refused:?}") };
        assert!(why.contains("ada or an admin may delete it") || why.contains("is ada's"), "{why}");
    }
    let why = refusal(deletes(&database, "root", &jobs[0].to_string(), NOW).await);
    assert!(why.contains("--for-all"), "{why}");
    assert_eq!(database.count("experiment_jobs"), 1);
    let for_all = How { for_all: true, ..NOW };
    assert_eq!(deletes(&database, "root", &jobs[0].to_string(), for_all).await.unwrap().jobs.gone.len(), 1);
    let jobs = submit_as(&database, "ada", &single(2)).await;
    succeed(&database, &jobs, 0).await;
    let gone = deletes(&database, "root", "ada/single", NOW).await.unwrap();
    assert_eq!((gone.jobs.gone.len(), gone.experiments.len()), (1, 1));
    assert_eq!(database.text("SELECT whose FROM audit WHERE what = 'Keeping/Delete' ORDER BY at DESC LIMIT 1"), "ada");
}

#[tokio::test]
async fn what_is_deleted_is_never_asked_for_again() {
    let database = TestStore::open().await;
    let job = submit_as(&database, "ada", &single(1)).await[0];
    deletes(&database, "ada", "single", CANCEL).await.unwrap();
    let again = requeue(&database.store, &job.to_string(), None, &person("ada")).await;
    assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
    let conn = &mut *database.store.conn().await.unwrap();
    assert!(jobs::lock(conn, &[job]).await.unwrap().is_empty(), "who waited for its row finds it gone");
    let delay = std::time::Duration::ZERO;
    let moved = jobs::transition(conn, job, JobState::Cancelled, JobEvent::Revived, "", delay).await.unwrap();
    assert_eq!(moved, None);
    // Postgres says the same to whoever forgets it.
    for wrong in ["content_key = 'x'", "finished_at = NULL, state = 'queued', queued_at = now()", "hidden = false"] {
        let statement = format!("UPDATE jobs SET {wrong} WHERE id = $1");
        let refused = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(job).fetch_optional(&mut *conn).await;
        assert!(refused.is_err(), "{wrong}");
    }
    assert!(experiments::by_idempotency_key(conn, "none").await.unwrap().is_none());
}

#[tokio::test]
async fn a_submit_that_is_sent_once_more_after_its_experiment_was_deleted_is_told_so() {
    let database = TestStore::open().await;
    let once = Submission { idempotency_key: "k".to_owned(), ..submission(&single(1)) };
    submit(&database.store, &once).await.unwrap();
    deletes(&database, "ada", "single", CANCEL).await.unwrap();
    let again = submit(&database.store, &once).await;
    let Err(Error::Conflict(why)) = again else { panic!("{again:?}") };
    assert!(why.contains("has been deleted since"), "{why}");
}

#[tokio::test]
async fn only_the_newest_three_checkpoints_are_on_disk() {
    let database = TestStore::open().await;
    let job = submit_as(&database, "ada", &single(1)).await[0];
    let conn = &mut *database.store.conn().await.unwrap();
    for step in [10, 20, 30, 40, 50] {
        put_checkpoint(conn, job, 1, step).await;
    }
    assert_eq!(files::kept_steps(conn, job).await.unwrap(), [50, 40, 30]);
    assert_eq!(files::checkpoints(conn, job, 9).await.unwrap().len(), 5, "receipts list them all");
    assert_eq!((files::newest_step(conn, job).await.unwrap(), stored::of(conn, "ada").await.unwrap()), (Some(50), 30));
    put_checkpoint(conn, job, 2, 20).await;
    assert_eq!(files::kept_steps(conn, job).await.unwrap(), [50, 40, 30]);
}

#[tokio::test]
async fn a_rank_of_a_deleted_job_ends_and_its_worker_is_free() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    for by in ["the rank's own end", "the end of its lease"] {
        let job = submit_as(&database, "ada", &single(7)).await[0];
        database.schedule(&scheduler, &mut term).await;
        let holder = database.lease_holders(job)[0];
        // One that no worker was told of ends with its attempt.
        database.execute("UPDATE leases SET dispatched_at = now() WHERE released_at IS NULL");
        deletes(&database, "ada", "single", CANCEL).await.unwrap();
        assert_eq!(database.count("leases WHERE released_at IS NULL"), 1, "{by}");
        if by.contains("own") {
            rank_ended(&database.store, holder, RankOutcome::Cancelled, "").await.unwrap();
        } else {
            database.execute("UPDATE leases SET expires_at = now() - interval '1 min', progress_at = NULL");
            assert_eq!(crate::reap::leases(&database.store, term.as_ref().unwrap().number).await.unwrap(), 1);
        }
        assert_eq!(database.count("leases WHERE released_at IS NULL"), 0, "{by}");
    }
    assert_eq!(database.count("jobs WHERE deleted_at IS NOT NULL"), 2);
}

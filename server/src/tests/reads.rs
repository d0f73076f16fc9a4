//! What reads cost and in which order they answer, on a history of 100,000 jobs.

use tandem_domain::state::JobState;

use super::*;
use crate::{
    estimate::Speeds,
    keeping::{
        clean::{Cursor, step},
        delete::{How, delete},
    },
    query::{
        asked, experiments,
        jobs::{line, list},
        results::{Question, query},
        show::show,
        status::status,
    },
    sharing::policy,
    store::{Conn, attempts, audit, fleet, leases, measures, page, picks::pick, stored, summaries::Chosen},
    target::{jobs_of, resolve},
    unblock::{Sweep, unblock},
};
use sqlx::Connection as _;

const JOBS: i64 = 100_000;
/// A step is one statement, which must not take long on a busy machine.
const STEPS: i64 = 2;
const FILL_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

async fn filled() -> TestStore {
    TestStore::on(TestDatabase::copy("history", fill)).await
}

/// Fills the history, without the indexes that are no constraint's: together they are made in a tenth of the time.
fn fill(url: &str) {
    migrate(url);
    let database = tandem_harness::Database::new(url, FILL_LIMIT).unwrap();
    let execute = |sql: &str| database.execute(sql).unwrap();
    let indexes: Vec<(String, String)> = (database)
        .rows(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
             FROM pg_index JOIN pg_class tables ON tables.oid = indrelid
             WHERE tables.relnamespace = 'public'::regnamespace AND tables.relkind = 'r' AND NOT tables.relispartition
               AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        )
        .unwrap();
    assert!(indexes.len() > 20, "{indexes:?}");
    indexes.iter().for_each(|(name, _)| execute(&format!("DROP INDEX {name}")));
    let jobs = JOBS / STEPS;
    for first in (0..JOBS).step_by(jobs as usize) {
        execute(&format!("SET fill.first = '{first}'; SET fill.jobs = '{jobs}'; SET fill.total = '{JOBS}'"));
        execute(include_str!("../../../bench/fill.sql"));
    }
    indexes.iter().for_each(|(_, definition)| execute(definition));
    // For the statistics of what they are made of, where that is no column.
    execute("ANALYZE");
}

/// Blocks of tables and indexes that the call touches, once its statements are planned for good and all is cached.
async fn blocks(conn: &mut Conn, mut call: impl AsyncFnMut(&mut Conn)) -> i64 {
    const TOUCHED: &str = "SELECT sum(pg_stat_get_xact_blocks_fetched(oid))::bigint FROM pg_class
                           WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace";
    // Postgres looks for a plan without the values from the sixth time on.
    for _ in 0..7 {
        call(conn).await;
    }
    // Within a transaction, because the counters are handed on when one ends.
    let mut tx = conn.begin().await.unwrap();
    let before: i64 = sqlx::query_scalar(TOUCHED).fetch_one(&mut *tx).await.unwrap();
    call(&mut *tx).await;
    let after: i64 = sqlx::query_scalar(TOUCHED).fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    after - before
}

#[tokio::test]
async fn a_read_costs_what_it_shows() {
    const SHOWN: u32 = 50;
    // A job is shown with its experiment, progress, curves, results and inputs, and picked from the first of each stage.
    let most = 200 + 100 * i64::from(SHOWN);
    let database = filled().await;
    let mut conn = database.store.conn().await.unwrap();
    let conn = &mut *conn;
    let mut costs: Vec<(&str, i64, i64)> = Vec::new();

    for (what, states) in [
        ("list", &[][..]),
        ("list --state failed", &[JobState::Failed]),
        ("list --state queued,running", &[JobState::Queued, JobState::Running]),
    ] {
        // Clients that ask for much must not spoil the plan for those that ask for little.
        for _ in 0..7 {
            list(conn, "ada", "", states, 2000).await.unwrap();
        }
        let cost = blocks(conn, async |conn| {
            let (shown, _) = list(conn, "ada", "", states, SHOWN).await.unwrap();
            assert_eq!(shown.len(), if states.len() == 2 { 0 } else { SHOWN as usize });
        });
        costs.push((what, cost.await, most));
    }
    let cost = blocks(conn, async |conn| {
        let shown = experiments::list(conn, Chosen::default(), SHOWN).await.unwrap();
        assert_eq!(shown.len(), SHOWN as usize);
        assert!(shown.iter().all(|one| one.succeeded + one.failed + one.cancelled > 0 && one.best.is_some()));
    });
    costs.push(("list --experiments", cost.await, most));
    assert_eq!(line(conn, SHOWN).await.unwrap().len(), 0, "nothing is queued");
    let all = Question { own: "ada", target: "", stage: "", best: "", ascending: false, limit: SHOWN };
    for (what, question) in [
        ("results", all),
        ("results --stage", Question { stage: "finetune", ..all }),
        ("results --stage of a stage that never ran", Question { stage: "attack", ..all }),
        ("results --best", Question { best: "linear_accuracy", ..all }),
        ("results --best --ascending", Question { best: "loss", ascending: true, ..all }),
        ("results --best --stage", Question { best: "loss", stage: "supervised", ..all }),
        ("results --best of a result that nothing has", Question { best: "robust_accuracy", ..all }),
    ] {
        let cost = blocks(conn, async |conn| drop(query(conn, question).await.unwrap()));
        costs.push((what, cost.await, most));
    }
    // A page of whatever is asked, and the names that there are. Not the total of a first page: it may take as long as it may,
    // which is as many blocks as this machine reads meanwhile.
    for (condition, order) in [
        ("", ""),
        ("", "accuracy"),
        ("", "loss"),
        ("stage = 'linear' and label_fraction = 0.01", "accuracy"),
        ("encoder = 'resnet50' and label_fraction = 0.01 and age < '400d'", "accuracy"),
        ("encoder = 'resnet-paper'", "accuracy"),
        ("owner = 'person-3'", "accuracy"),
        ("owner = 'person-3' and age < '30d'", ""),
        ("owner = 'nobody'", ""),
        ("experiment = 'table1-5'", "accuracy"),
        ("experiment like 'table1-7%'", "accuracy"),
        ("lr = 0.3 and temperature = 0.1", "accuracy"),
        ("lambda > 100", "accuracy"),
        ("seed = 77", "accuracy"),
        ("weight_decay = 5 or norm = 'linf' or optimizer = 'adam'", "accuracy"),
        ("state = 'failed'", ""),
        ("state = 'running'", "accuracy"),
        ("finished > '7d'", "accuracy"),
        ("accuracy between 0.5 and 0.50001", ""),
        ("device_seconds > '50m' and stage = 'supervised'", "device_seconds"),
        ("loss < 0.2001", "accuracy"),
        ("loss > 0.3", "accuracy"),
        ("optimizer.warmup_epochs = 33", "accuracy"),
        ("contrastive.optimizer.lr = 0.3", "accuracy"),
    ] {
        let mut question = asked::Question {
            condition: condition.to_owned(),
            order: order.to_owned(),
            limit: SHOWN,
            ..Default::default()
        };
        question.cursor = asked::ask(conn, "ada", &question).await.unwrap().next.unwrap_or_default();
        let cost = blocks(conn, async |conn| drop(asked::ask(conn, "ada", &question).await.unwrap()));
        costs.push((if condition.is_empty() { order } else { condition }, cost.await, 20_000));
    }
    let newest = database.text("SELECT name FROM experiments ORDER BY created_at DESC LIMIT 1");
    let job = database.value::<Uuid>("SELECT id FROM jobs ORDER BY submitted_at DESC, id LIMIT 1").to_string();
    let cost = blocks(conn, async |conn| drop(show(conn, &job, "ada").await.unwrap()));
    costs.push(("show JOB", cost.await, 300));
    let cost = blocks(conn, async |conn| drop(show(conn, &newest, "ada").await.unwrap()));
    costs.push(("show EXPERIMENT", cost.await, 200 + 60 * 11));
    for (what, text) in
        [("cancel EXPERIMENT", newest.clone()), ("cancel JOB", job[..20].to_owned()), ("a typo", "nothing".to_owned())]
    {
        let cost = blocks(conn, async |conn| {
            if let Ok(target) = resolve(conn, &text, "ada").await {
                jobs_of(conn, target).await.unwrap();
            }
        });
        costs.push((what, cost.await, 60));
    }

    let all = page::Chosen::default();
    let of =
        |owner: &str, state: &str| page::Chosen { owner: owner.to_owned(), state: state.to_owned(), ..all.clone() };
    for (what, chosen, most) in [
        ("the page of experiments", all.clone(), 100 * i64::from(SHOWN)),
        // So many are searched at most, where those of one person may be all.
        ("the page of nobody's experiments", of("nobody", ""), page::SEARCHED / 20),
        // So many are looked at, whatever the history holds.
        ("the page of live experiments", of("", "live"), 100 * page::LOOKED_AT),
    ] {
        let cost =
            blocks(conn, async |conn| drop(page::experiments(conn, &chosen, i64::from(SHOWN)).await.unwrap())).await;
        costs.push((what, cost, most));
    }
    let cost = blocks(conn, async |conn| drop(page::loads(conn).await.unwrap()));
    costs.push(("the page of people", cost.await, 100));
    let one = job.parse().unwrap();
    let cost = blocks(conn, async |conn| drop(page::curves(conn, one, 300).await.unwrap()));
    costs.push(("the curves of a page", cost.await, 20_000));

    database.execute(
        "CREATE TEMP TABLE left_long_ago AS SELECT w.* FROM workers w, generate_series(1, 200);
         UPDATE left_long_ago SET id = gen_random_uuid();
         INSERT INTO workers SELECT * FROM left_long_ago;
         ANALYZE workers",
    );
    let cost = blocks(conn, async |conn| drop(status(conn).await.unwrap()));
    costs.push(("status", cost.await, 60));
    let cost = blocks(conn, async |conn| drop(fleet::snapshot(conn).await.unwrap()));
    costs.push(("the fleet", cost.await, 60));
    let cost = blocks(conn, async |conn| drop(workers::valid_sessions(conn, &[Uuid::new_v4()]).await.unwrap()));
    costs.push(("sessions", cost.await, 60));

    database.execute(
        "INSERT INTO audit (who, via, origin, what, object, whose, outcome)
         SELECT 'user' || i % 100, 'socket', 'x', 'Jobs/Cancel', 'x', CASE WHEN i % 3 = 0 THEN 'user' || i % 70 ELSE '' END, 'done'
         FROM generate_series(1, 60000) i;
         ANALYZE audit",
    );
    for who in [Some("user7"), Some("nobody"), None] {
        let question = audit::Question { who: who.map(str::to_owned), limit: SHOWN, ..audit::Question::default() };
        let cost = blocks(conn, async |conn| drop(audit::list(conn, &question).await.unwrap()));
        // Each month that may hold something is looked into.
        costs.push(("audit", cost.await, 600));
    }

    let plan = tandem_domain::plan::plan(&experiment(1), "test.toml", tandem_domain::LEARN_VERSION).unwrap();
    let estimate = async |conn: &mut Conn| {
        let mut speeds = Speeds::of_fleet(conn).await.unwrap();
        for job in &plan.jobs {
            speeds.estimate(conn, job).await.unwrap();
        }
    };
    let cost = blocks(conn, &estimate).await;
    costs.push(("submit --dry-run", cost, 100));
    // All the history is of CPUs; nothing in it says how fast another device is.
    database.workers(1).await;
    database.execute("UPDATE workers SET device_kind = 'cuda' WHERE state = 'ready'");
    let cost = blocks(conn, &estimate).await;
    // The policy in force is read, too, for its maximum times.
    costs.push(("submit --dry-run on other devices", cost, 120));

    // What each pass of the scheduler reads.
    let works = database.values::<String>("SELECT DISTINCT work FROM jobs WHERE ran_on IS NOT NULL");
    let kinds = ["cpu", "cuda"].map(str::to_owned);
    let cost = blocks(conn, async |conn| {
        assert_eq!(measures::precedents(conn, &works, &kinds).await.unwrap().len(), works.len());
    });
    costs.push(("precedents", cost.await, 20 * i64::try_from(works.len()).unwrap()));
    let cost = blocks(conn, async |conn| drop(attempts::running(conn).await.unwrap()));
    costs.push(("gangs at work", cost.await, 60));
    let cost = blocks(conn, async |conn| drop(leases::expired(conn).await.unwrap()));
    costs.push(("expired leases", cost.await, 60));

    database.execute(
        "CREATE TEMP TABLE waiting AS SELECT * FROM jobs WHERE state = 'succeeded' LIMIT 20000;
         UPDATE waiting SET id = gen_random_uuid(), name = 'w' || id, content_key = id::text, state = 'blocked',
             finished_at = NULL, started_at = NULL, ran_on = NULL;
         INSERT INTO jobs SELECT * FROM waiting;
         INSERT INTO job_dependencies SELECT id, (SELECT id FROM jobs WHERE state = 'failed' LIMIT 1), 0 FROM waiting;
         ANALYZE jobs",
    );
    let cost = blocks(conn, async |conn| drop(unblock(conn).await.unwrap()));
    costs.push(("a pass over blocked jobs", cost.await, 10));

    database.execute(
        "CREATE TEMP TABLE in_line AS SELECT * FROM jobs WHERE state = 'succeeded' LIMIT 10000;
         UPDATE in_line SET id = gen_random_uuid(), name = 'q' || id, content_key = 'q' || id, state = 'queued',
             queued_at = now(), finished_at = NULL, started_at = NULL, ran_on = NULL;
         INSERT INTO jobs SELECT * FROM in_line;
         ANALYZE jobs",
    );
    let cost = blocks(conn, async |conn| {
        assert_eq!(page::waiting(conn, 0, 100).await.unwrap().len(), 100);
    });
    costs.push(("the page of the queue", cost.await, 1500));
    let excess: Vec<_> = costs.iter().filter(|(_, cost, most)| cost > most).collect();
    assert!(excess.is_empty(), "blocks touched, and the most: {excess:?} of {costs:?}");

    // Nor does the slow look at all of them read more than its page; here it finds that they were missed.
    let mut tx = database.store.begin().await.unwrap();
    let now = std::time::Instant::now();
    let sweep = Sweep::default().page(&mut tx, now).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(database.count("jobs WHERE reason LIKE 'its input%failed'"), 500);
    assert!(!sweep.is_due(now) && sweep.is_due(now + std::time::Duration::from_secs(61)));
}

#[tokio::test]
async fn keeping_costs_what_it_shows_however_much_is_archived_tagged_and_deleted() {
    const SHOWN: u32 = 50;
    let most = 200 + 100 * i64::from(SHOWN);
    let database = filled().await;
    // Whose looks would count with those of the statements.
    database.execute(
        "DO $$ DECLARE name regclass; BEGIN
             FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
                 EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', name);
             END LOOP;
         END $$",
    );
    // Nine experiments of ten are archived, one of a hundred is deleted; one person has nearly all files.
    database.execute(
        "UPDATE experiments SET archived_at = now() WHERE abs(hashtext(id::text)) % 10 < 9;
         UPDATE jobs SET hidden = true FROM experiments e WHERE e.id = experiment_id AND e.archived_at IS NOT NULL;
         UPDATE jobs SET owner = e.owner FROM experiments e WHERE e.id = experiment_id;
         UPDATE experiments SET deleted_at = now(), archived_at = NULL WHERE abs(hashtext(id::text)) % 100 = 99;
         DELETE FROM experiment_jobs USING experiments e WHERE e.id = experiment_id AND e.deleted_at IS NOT NULL;
         INSERT INTO job_files (job_id, owner, artifacts, checkpoints) SELECT id, 'person-1', 1000, 1000 FROM jobs;
         INSERT INTO checkpoints (job_id, step, path, sha256, bytes, fence, at)
         SELECT id, 8, 'jobs/' || id || '/step-8', 's', 1000, 1, now() FROM jobs;
         INSERT INTO tags (target, is_job, word, who, at)
         SELECT id, true, 'often', 'ada', submitted_at FROM jobs WHERE abs(hashtext(id::text)) % 4 = 0;
         INSERT INTO tags (target, is_job, word, who) SELECT id, false, 'once', 'ada' FROM experiments
         WHERE deleted_at IS NULL ORDER BY id LIMIT 1",
    );
    while stored::add_up(&mut database.store.conn().await.unwrap(), 50_000).await.unwrap() > 0 {}
    database.execute("VACUUM ANALYZE");
    let mut conn = database.store.conn().await.unwrap();
    let conn = &mut *conn;
    let mut costs: Vec<(&str, i64, i64)> = Vec::new();
    for (what, states) in [("list", &[][..]), ("list --state failed", &[JobState::Failed])] {
        let cost = blocks(conn, async |conn| {
            assert_eq!(list(conn, "ada", "", states, SHOWN).await.unwrap().0.len(), SHOWN as usize);
        });
        costs.push((what, cost.await, most));
    }
    let all = Question { own: "ada", target: "", stage: "", best: "", ascending: false, limit: SHOWN };
    let cost = blocks(conn, async |conn| assert_eq!(query(conn, all).await.unwrap().len(), SHOWN as usize));
    costs.push(("results", cost.await, most));
    let any = Chosen::default();
    for (what, chosen, shown) in [
        ("list --experiments", any, SHOWN),
        ("list --experiments --archived", Chosen { archived: true, ..any }, SHOWN),
        ("list --experiments --archived --owner", Chosen { archived: true, owner: "person-1", ..any }, SHOWN),
        ("list --experiments --tag", Chosen { tag: "once", ..any }, 1),
        ("list --experiments --tag of nothing", Chosen { tag: "never", ..any }, 0),
    ] {
        let cost = blocks(conn, async |conn| {
            assert_eq!(experiments::list(conn, chosen, SHOWN).await.unwrap().len(), shown as usize, "{what}");
        });
        costs.push((what, cost.await, most));
    }
    for (what, tag, most) in [("list --tag", "once", most), ("list --tag of many", "often", most + 10_000)] {
        let cost = blocks(conn, async |conn| {
            assert!(!crate::query::jobs::tagged(conn, tag, &[], SHOWN).await.unwrap().0.is_empty());
        });
        costs.push((what, cost.await, most));
    }
    let cost = blocks(conn, async |conn| assert!(stored::of(conn, "person-1").await.unwrap() > 1_000_000));
    costs.push(("what somebody has stored, asked at every submit", cost.await, 60));
    let cost = blocks(conn, async |conn| drop(stored::of_all(conn, 500).await.unwrap()));
    costs.push(("what everybody has stored", cost.await, 60));
    let cost = blocks(conn, async |conn| drop(stored::largest(conn, "person-1").await.unwrap()));
    costs.push(("the largest jobs", cost.await, 20 * 30));
    let excess: Vec<_> = costs.iter().filter(|(_, cost, most)| cost > most).collect();
    assert!(excess.is_empty(), "blocks touched, and the most: {excess:?} of {costs:?}");

    // Deleting and cleaning have transactions of their own; so the whole database is looked at.
    let touched = || {
        database.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()");
        database.value::<i64>(
            "SELECT sum(heap_blks_read + heap_blks_hit + COALESCE(idx_blks_read + idx_blks_hit, 0))::bigint
             FROM pg_statio_user_tables",
        )
    };
    let settled = async || {
        let mut before = touched();
        for _ in 0..20 {
            // A connection hands its counters on a second after it was used last.
            tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
            let now = touched();
            if now == before {
                return now;
            }
            before = now;
        }
        panic!("somebody else goes on reading");
    };
    let newest =
        database.text("SELECT id::text FROM experiments WHERE deleted_at IS NULL ORDER BY created_at DESC LIMIT 1");
    let how = How { dry_run: true, ..How::default() };
    delete(&database.store, &newest, how, &person("root")).await.unwrap();
    let before = settled().await;
    let would = delete(&database.store, &newest, how, &person("root")).await.unwrap();
    let cost = settled().await - before;
    assert!(would.jobs.gone.len() >= 9 && cost < 5000, "delete --dry-run of an experiment touched {cost} blocks");

    let toml =
        "[retention]\ncheckpoints_after = \"1d\"\npoints_after = \"1d\"\narchive_after = \"1d\"\ndelete_after = \"1d\"";
    policy::set(&database.store, &person("root"), toml, super::sharing::SET).await.unwrap();
    let (mut cursor, mut kinds) = (Some(Cursor::FIRST), std::collections::BTreeMap::new());
    while let Some(at) = cursor {
        // Twice, as it changes nothing: on a busy machine what came before is counted late, and so with the first.
        for _ in 0..2 {
            let before = settled().await;
            let one = step(&database.store, at, None).await.unwrap();
            let cost = settled().await - before;
            kinds.entry(one.what).and_modify(|least: &mut i64| *least = cost.min(*least)).or_insert(cost);
        }
        // One step of each kind is enough.
        cursor = if matches!(at, Cursor::Delete { .. }) { None } else { next_kind(at) };
    }
    assert!(kinds.len() == 4 && kinds.values().all(|cost| *cost < 60_000), "a step of cleaning: {kinds:?}");
}

fn next_kind(at: Cursor) -> Option<Cursor> {
    let (now, id) = (chrono::DateTime::UNIX_EPOCH, Uuid::nil());
    Some(match at {
        Cursor::Checkpoints(_) => Cursor::Points(0, id),
        Cursor::Points(..) => Cursor::Archive(now, id),
        _ => Cursor::Delete { archived: true, at: now, id },
    })
}

#[tokio::test]
async fn lists_have_the_order_of_a_plain_sort() {
    let database = TestStore::open().await;
    database.execute("SET fill.jobs = '500'");
    database.execute(include_str!("../../../bench/fill.sql"));
    // Jobs that end at the same time, figures that are equal and a job that was never started.
    database.execute(
        "UPDATE jobs SET finished_at = date_trunc('month', finished_at);
         UPDATE results SET value = round(value::numeric, 1) WHERE value < 'NaN';
         UPDATE jobs SET started_at = NULL WHERE state = 'cancelled'",
    );
    let plain = |order: &str, conditions: &str| {
        database.rows::<(Uuid, String)>(&format!(
            "SELECT j.id, link.name FROM experiment_jobs link JOIN experiments e ON e.id = link.experiment_id
             JOIN jobs j ON j.id = link.job_id LEFT JOIN results best ON best.job_id = j.id AND best.name = 'loss'
             WHERE link.experiment_id = j.experiment_id AND link.name = j.name AND {conditions}
             ORDER BY {order} e.created_at DESC, e.id, link.position LIMIT 400"
        ))
    };
    let finished = "j.finished_at IS NOT NULL
                    AND (j.state = 'succeeded' OR EXISTS (SELECT FROM results r WHERE r.job_id = j.id))";
    let best = "NULLIF(best.value, 'NaN') DESC NULLS LAST, j.finished_at DESC,";
    let lowest = "NULLIF(best.value, 'NaN') ASC NULLS LAST, j.finished_at DESC,";
    let failed = ["failed".to_owned(), "cancelled".to_owned(), "failed".to_owned()];
    let of = |stage, best, ascending| Some(Figures { stage, best, ascending });
    let one_stage = format!("{finished} AND j.stage = 'finetune'");
    for (states, figures, order, conditions) in [
        (&[][..], None, "", "true"),
        (&failed[..], None, "", "j.state IN ('failed', 'cancelled')"),
        (&[][..], of("", "", false), "j.finished_at DESC,", finished),
        (&[][..], of("finetune", "", false), "j.finished_at DESC,", one_stage.as_str()),
        (&[][..], of("", "loss", false), best, finished),
        (&[][..], of("", "loss", true), lowest, finished),
        (&[][..], of("finetune", "loss", false), best, one_stage.as_str()),
    ] {
        let mut conn = database.store.conn().await.unwrap();
        let filter = Filter { states, figures, limit: 400, ..Filter::default() };
        let picked = pick(&mut conn, &filter).await.unwrap();
        let picked: Vec<_> = picked.into_iter().map(|pick| (pick.job_id, pick.name)).collect();
        assert!(!picked.is_empty() && picked == plain(order, conditions), "{filter:?}");
        // The same of given jobs.
        let ids: Vec<Uuid> = database.values("SELECT id FROM jobs");
        let among = pick(&mut conn, &Filter { scope: Scope::Jobs(&ids), ..filter }).await.unwrap();
        let among: Vec<_> = among.into_iter().map(|pick| (pick.job_id, pick.name)).collect();
        assert!(among == picked, "among all jobs: {filter:?}");
    }
    // An experiment names a job that it shares in its own way.
    let sharing: Uuid = database.value("SELECT experiment_id FROM experiment_jobs WHERE reused LIMIT 1");
    let filter = Filter { scope: Scope::Experiment(sharing), limit: 400, ..Filter::default() };
    let picked = pick(&mut database.store.conn().await.unwrap(), &filter).await.unwrap();
    assert_eq!((picked.len(), picked[10].name.as_str()), (11, "shared"));
}

#[tokio::test]
async fn what_a_job_ran_on_is_kept_with_it() {
    use crate::report::rank_ended;
    use tandem_domain::state::RankOutcome;
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    for holder in database.lease_holders(job) {
        rank_ended(&database.store, holder, RankOutcome::Succeeded, "").await.unwrap();
    }
    assert_eq!(database.text(&format!("SELECT ran_on FROM jobs WHERE id = '{job}' AND state = 'succeeded'")), "cpu");
}

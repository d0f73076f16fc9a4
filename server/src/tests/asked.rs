//! Facts, curves, and questions about them, against a real Postgres.

use tandem_domain::ask::{self, Known};
use tandem_proto::v1::{MetricEvent, PhaseEvent, ResultEvent, rank_event::Event};

use super::*;
use crate::{
    error::Error,
    facts::{Step, step},
    query::asked::{Answer, Question, Total, ask},
    report::{Receipt, rank_ended, report},
    store::{asked::Cell, leader, points},
};
use tandem_domain::state::{JobState, RankOutcome};

async fn asked(database: &TestStore, question: &Question) -> crate::error::Result<Answer> {
    ask(&mut database.store.reader().await.unwrap(), "ada", question).await
}

fn about(condition: &str) -> Question {
    Question { condition: condition.to_owned(), ..Question::default() }
}

/// The first column of the rows.
fn firsts(answer: &Answer) -> Vec<Cell> {
    answer.rows.iter().map(|row| row.cells[0].clone()).collect()
}

fn texts(cells: &[&str]) -> Vec<Cell> {
    cells.iter().map(|text| Cell::Text((*text).to_owned())).collect()
}

#[tokio::test]
async fn facts_are_there_as_soon_as_a_job_is_submitted_and_know_its_end() {
    let database = TestStore::open().await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let rows = database.rows::<(String, String, f64, i64, bool)>(
        "SELECT job, encoder, COALESCE(label_fraction, -1), seed, value IS NULL FROM job_facts ORDER BY job",
    );
    let expected = [("encoder", -1.0), ("linear[label_fraction=0.1]", 0.1), ("linear[label_fraction=1.0]", 1.0)];
    assert_eq!(rows, expected.map(|(job, labels)| (job.to_owned(), "resnet-tiny".to_owned(), labels, 1, true)));
    let question = Question {
        columns: vec!["job".to_owned(), "contrastive.temperature".to_owned()],
        ..about("stage = 'linear' and state = 'blocked'")
    };
    let answer = asked(&database, &question).await.unwrap();
    assert_eq!((answer.rows.len(), answer.not_indexed), (2, 0));
    assert_eq!(answer.rows[0].cells[1], Cell::Number(0.5));

    database.workers(2).await;
    database.schedule(&database.scheduler(), &mut None).await;
    assert!(
        database.value::<bool>(&format!("SELECT started_at IS NOT NULL FROM job_facts WHERE job_id = '{}'", jobs[0]))
    );
    let holders = database.lease_holders(jobs[0]);
    let metric = |step, value| Event::Metric(MetricEvent { name: "knn_accuracy".to_owned(), step, value });
    let events = [
        event(1, Event::Phase(PhaseEvent { name: "training".to_owned(), first_step: 0 })),
        event(2, metric(1, 0.3)),
        event(3, metric(2, 0.8)),
        event(4, metric(3, f64::NAN)),
        event(5, metric(4, 0.6)),
        event(6, Event::Result(ResultEvent { name: "knn_accuracy".to_owned(), value: 0.6 })),
    ];
    assert_eq!(
        report(&database.store, std::path::Path::new("/srv"), holders[0], &events).await.unwrap(),
        Receipt::Stored
    );
    // A running job is found by its curve, and has no main figure yet.
    let running = Question {
        columns: vec![
            "job".to_owned(),
            "best(knn_accuracy)".to_owned(),
            "last(knn_accuracy)".to_owned(),
            "value".to_owned(),
        ],
        ..about("best(knn_accuracy) > 0.7")
    };
    let answer = asked(&database, &running).await.unwrap();
    assert_eq!(answer.rows[0].cells[1..], [Cell::Number(0.8), Cell::Number(0.6), Cell::Missing]);

    for holder in &holders {
        rank_ended(&database.store, *holder, RankOutcome::Succeeded, "").await.unwrap();
    }
    assert_eq!(database.state(jobs[0]).await, "succeeded");
    let question = Question {
        columns: vec!["knn_accuracy".to_owned()],
        order: "knn_accuracy".to_owned(),
        ..about("finished > '1h' and device = 'cpu'")
    };
    let answer = asked(&database, &question).await.unwrap();
    assert_eq!(firsts(&answer), [Cell::Number(0.6)]);
    assert_eq!(answer.total, Some(Total { count: 1, is_exact: true }));
    let seconds: f64 = database.value(&format!("SELECT device_seconds FROM job_facts WHERE job_id = '{}'", jobs[0]));
    let taken: f64 = database.value(&format!(
        "SELECT 2 * extract(epoch FROM ended_at - assigned_at)::float8 FROM attempts WHERE job_id = '{}'",
        jobs[0]
    ));
    assert!((seconds - taken).abs() < 1e-6, "{seconds} {taken}");
}

#[tokio::test]
async fn what_has_not_ended_has_not_failed() {
    let database = TestStore::open().await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    for condition in ["not state = 'failed'", "state != 'failed'", "not (state = 'failed' and seed = 1)"] {
        let answer = asked(&database, &about(condition)).await.unwrap();
        assert_eq!((answer.rows.len(), answer.total.map(|total| total.count)), (jobs.len(), Some(3)), "{condition}");
    }
    assert_eq!(asked(&database, &about("state = 'failed'")).await.unwrap().rows.len(), 0);
}

#[tokio::test]
async fn curves_sum_up_each_point_once() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let mut conn = database.store.conn().await.unwrap();
    let at = chrono::Utc::now();
    let measured = |steps: &[(i64, f64)]| {
        let point = |&(step, value): &(i64, f64)| (job, 1, points::Point { name: "loss".to_owned(), step, value, at });
        steps.iter().map(point).collect::<Vec<_>>()
    };
    let row = || {
        database.rows::<(i64, i64, i64, f64, f64, f64)>(
            "SELECT points, first_step, last_step, last, COALESCE(smallest, -1), COALESCE(largest, -1) FROM curves",
        )
    };
    // What is stored by an earlier version, without a row of the curve.
    database.execute(&format!(
        "INSERT INTO metrics (job_id, fence, name, step, value, at) VALUES ('{job}', 1, 'loss', 5, 9, now())"
    ));
    points::insert(&mut conn, &measured(&[(10, 2.0), (20, f64::NAN), (30, f64::INFINITY)])).await.unwrap();
    assert_eq!(row(), [(4, 5, 30, f64::INFINITY, 2.0, 9.0)]);
    // The same again, and what a later attempt repeats from a checkpoint.
    points::insert(&mut conn, &measured(&[(10, 7.0), (20, 7.0), (25, 1.0)])).await.unwrap();
    assert_eq!(row(), [(5, 5, 30, f64::INFINITY, 1.0, 9.0)]);
    let counted: (i64, f64) = database.rows("SELECT count(*), min(value) FROM metric_points").remove(0);
    assert_eq!(counted, (5, 1.0));
}

#[tokio::test]
async fn a_house_that_is_older_than_the_table_is_filled_in_by_its_leader_while_it_works() {
    let database = TestStore::open().await;
    for seed in 1..=4 {
        database.submit(&experiment(seed)).await;
    }
    let before: Vec<String> = database.values("SELECT (to_jsonb(f) - 'x')::text FROM job_facts f ORDER BY job_id");
    assert_eq!(before.len(), 12);
    database.execute("DELETE FROM job_facts; UPDATE facts_filled SET through = '00000000-0000-0000-0000-000000000000', whole_at = NULL");
    let answer = asked(&database, &about("stage = 'linear'")).await.unwrap();
    assert_eq!((answer.rows.len(), answer.not_indexed), (0, 12), "it says what it cannot find");

    let me = Uuid::new_v4();
    assert_eq!(step(&database.store, me, None).await.unwrap(), Step::NotLeading);
    assert_eq!(database.value::<i64>("SELECT count(*) FROM job_facts"), 0);
    leader::hold(&mut database.store.conn().await.unwrap(), me, "test").await.unwrap();
    // Somebody holds a job just now: the others are filled in, and it is looked at again.
    let mut held = database.store.begin().await.unwrap();
    let one: Uuid = database.value("SELECT id FROM jobs ORDER BY id LIMIT 1");
    crate::store::jobs::lock(&mut held, &[one]).await.unwrap();
    let Step::Through(after) = step(&database.store, me, None).await.unwrap() else { panic!("one is locked") };
    assert_eq!(database.value::<i64>("SELECT count(*) FROM job_facts"), 11);
    held.commit().await.unwrap();
    let Step::Through(after) = step(&database.store, me, Some(after)).await.unwrap() else { panic!("not whole yet") };
    assert_eq!(step(&database.store, me, Some(after)).await.unwrap(), Step::Whole);
    let filled: Vec<String> = database.values("SELECT (to_jsonb(f) - 'x')::text FROM job_facts f ORDER BY job_id");
    assert_eq!(filled, before, "the same as at submit");
    let answer = asked(&database, &about("stage = 'linear'")).await.unwrap();
    assert_eq!((answer.rows.len(), answer.not_indexed), (8, 0));

    // A coordinator of an earlier version has brought a job beside it; who leads next finds that.
    database.execute(&format!("DELETE FROM job_facts WHERE job_id = '{one}'"));
    let Step::Through(_) = step(&database.store, me, None).await.unwrap() else { panic!("looked through again") };
    assert_eq!(database.value::<i64>("SELECT count(*) FROM job_facts"), 12);
}

/// Jobs with figures, three seeds of two encoders.
async fn measured() -> TestStore {
    let database = TestStore::open().await;
    for seed in 1..=3 {
        database.submit(&experiment(seed)).await;
        database.submit(&experiment(seed).replace("resnet-tiny", "resnet18").replace("quickstart", "larger")).await;
    }
    database.execute(
        "INSERT INTO results (job_id, fence, name, value, at, stage)
         SELECT job_id, 1, 'test_accuracy', CASE encoder WHEN 'resnet18' THEN 0.8 ELSE 0.6 END + seed / 100.0 + label_fraction / 10, now(), stage
         FROM job_facts WHERE stage = 'linear';
         INSERT INTO results (job_id, fence, name, value, at, stage)
         SELECT job_id, 1, 'loss', CASE WHEN seed = 2 THEN 'NaN'::float8 ELSE seed END, now(), stage FROM job_facts;
         UPDATE job_facts f SET value = r.value, finished_at = now() FROM results r WHERE r.job_id = f.job_id AND r.name = f.figure_of;
         INSERT INTO curves SELECT job_id, 'knn_accuracy', 3, 1, 3, 0.1 * seed, 0.1, 0.3 * seed FROM job_facts WHERE stage = 'contrastive'",
    );
    database
}

#[tokio::test]
async fn pages_follow_each_other_and_hold_every_job_once() {
    let database = measured().await;
    for order in [
        "",
        "accuracy",
        "test_accuracy",
        "loss",
        "best(knn_accuracy)",
        "seed",
        "job",
        "created",
        "optimizer.lr",
        "age",
        "epochs",
    ] {
        for ascending in [None, Some(true), Some(false)] {
            let whole = Question { order: order.to_owned(), ascending, ..about("") };
            let all = asked(&database, &whole).await.unwrap();
            let (mut seen, mut page) = (Vec::new(), Question { limit: 5, ..whole.clone() });
            loop {
                let answer = asked(&database, &page).await.unwrap();
                if page.cursor.is_empty() {
                    let count = i64::try_from(all.rows.len()).unwrap();
                    assert_eq!(answer.total, Some(Total { count, is_exact: true }), "{order}");
                }
                seen.extend(answer.rows);
                let Some(next) = answer.next else { break };
                page.cursor = next;
            }
            assert_eq!(seen, all.rows, "{order} {ascending:?}");
        }
    }
    let first = asked(
        &database,
        &Question { limit: 1, order: "loss".to_owned(), columns: vec!["loss".to_owned()], ..about("") },
    )
    .await
    .unwrap();
    assert_eq!(firsts(&first), [Cell::Number(1.0)], "the smallest loss is the best, and no number is none");
    let wrong = Question { cursor: first.next.unwrap(), ..about("seed = 1") };
    let Err(Error::Invalid(why)) = asked(&database, &wrong).await else { panic!() };
    assert!(why.contains("another question"), "{why}");
    let Err(Error::Invalid(why)) = asked(&database, &Question { cursor: "x!".to_owned(), ..about("") }).await else {
        panic!()
    };
    assert!(why.contains("not as it was given"), "{why}");
}

#[tokio::test]
async fn seeds_in_groups_have_best_mean_and_spread() {
    let database = measured().await;
    let by = vec!["encoder".to_owned(), "label_fraction".to_owned()];
    let question = Question { by, order: "accuracy".to_owned(), ..about("stage = 'linear'") };
    let answer = asked(&database, &question).await.unwrap();
    let names: Vec<&str> = answer.headings.iter().map(|heading| heading.name.as_str()).collect();
    assert_eq!(
        names,
        ["encoder", "label_fraction", "best accuracy", "mean accuracy", "spread accuracy", "measured", "seeds", "jobs"]
    );
    assert_eq!(answer.rows.len(), 4);
    let Cell::Number(mean) = answer.rows[0].cells[3] else { panic!("{answer:?}") };
    let Cell::Number(spread) = answer.rows[0].cells[4] else { panic!("{answer:?}") };
    assert_eq!(answer.rows[0].cells[..2], [Cell::Text("resnet18".to_owned()), Cell::Number(1.0)]);
    assert!((mean - 0.92).abs() < 1e-9 && (spread - 0.01).abs() < 1e-9, "{mean} {spread}");
    assert_eq!(answer.rows[0].cells[5..], [Cell::Whole(3), Cell::Whole(3), Cell::Whole(3)]);

    // Without a figure the main ones, each kind by itself.
    let answer = asked(&database, &Question { by: vec!["stage".to_owned()], ..about("") }).await.unwrap();
    assert_eq!(firsts(&answer), texts(&["accuracy", "knn_accuracy"]));
    let paged = Question { by: vec!["job".to_owned(), "seed".to_owned()], limit: 4, ..about("") };
    let first = asked(&database, &paged).await.unwrap();
    let second = asked(&database, &Question { cursor: first.next.clone().unwrap(), ..paged.clone() }).await.unwrap();
    assert!(first.rows.len() == 4 && second.rows.len() == 4 && first.rows != second.rows);
    let Err(Error::Invalid(why)) =
        asked(&database, &Question { by: vec!["owner".to_owned()], order: "job".to_owned(), ..about("") }).await
    else {
        panic!()
    };
    assert!(why.contains("`job` has no mean"), "{why}");
}

/// As rows of plain SQL say: each kind of name with each operator, in what it finds and what it leaves out.
#[tokio::test]
async fn every_kind_of_condition_finds_what_sql_finds() {
    let database = measured().await;
    database.submit(&single(9)).await;
    database.execute(
        "INSERT INTO tags (target, is_job, word, who) SELECT id, false, 'paper', 'ada' FROM experiments WHERE name = 'larger';
         INSERT INTO tags (target, is_job, word, who)
         SELECT job_id, true, 'bad', 'ada' FROM job_facts WHERE stage = 'linear' AND seed = 1",
    );
    for (condition, sql) in [
        ("stage = 'linear' and seed in (1, 3)", "f.stage = 'linear' AND f.seed IN (1, 3)"),
        ("state = 'queued'", "j.state = 'queued'"),
        ("state <> 'queued'", "j.state <> 'queued'"),
        ("state not in ('queued', 'failed')", "j.state NOT IN ('queued', 'failed')"),
        ("state like 'b%'", "j.state::text LIKE 'b%'"),
        ("accuracy > 0.7", "f.value > 0.7"),
        ("not accuracy > 0.7", "f.value <= 0.7"),
        ("accuracy is null", "f.value IS NULL"),
        ("accuracy between 0.7 and 0.85", "f.value BETWEEN 0.7 AND 0.85"),
        ("accuracy not between 0.7 and 0.85", "f.value NOT BETWEEN 0.7 AND 0.85"),
        ("test_accuracy > 0.7 or seed = 9", "f.value > 0.7 OR f.seed = 9"),
        ("test_accuracy is null", "f.value IS NULL"),
        ("loss >= 1", "f.seed IN (1, 3)"),
        ("not (loss < 2 or loss > 5)", "f.seed = 3"),
        ("loss is null", "f.seed IN (2, 9)"),
        ("best(knn_accuracy) > 0.5", "f.stage = 'contrastive' AND f.seed IN (2, 3)"),
        ("last(knn_accuracy) < 0.25 and min(knn_accuracy) > 0", "f.stage = 'contrastive' AND f.seed IN (1, 2)"),
        ("last(knn_accuracy) is not null", "f.stage = 'contrastive' AND f.seed <> 9"),
        ("encoder like 'resnet1%'", "f.encoder = 'resnet18'"),
        ("encoder ilike 'RESNET-%'", "f.encoder = 'resnet-tiny'"),
        ("encoder not like '%18'", "f.encoder = 'resnet-tiny'"),
        ("experiment = 'larger' or job = 'encoder'", "f.experiment = 'larger' OR f.job = 'encoder'"),
        ("temperature = 0.5", "true"),
        ("temperature = 0.3 and optimizer = 'lars'", "false"),
        ("contrastive.temperature = 0.5", "f.stage = 'linear'"),
        ("contrastive.temperature > 0.4 and contrastive.temperature <= 0.5", "f.stage = 'linear'"),
        ("contrastive.temperature <> 0.5", "false"),
        ("contrastive.temperature is null", "f.stage = 'contrastive'"),
        ("optimizer.name in ('lars', 'adam')", "f.stage = 'contrastive'"),
        ("optimizer.name like 'l%' and optimizer.name >= 'lars'", "f.stage = 'contrastive'"),
        ("optimizer.nesterov = true", "f.stage = 'linear'"),
        ("optimizer.nesterov <> true", "f.stage = 'contrastive'"),
        ("batch_size > 63.5 and batch_size <= 64", "f.stage = 'contrastive'"),
        ("tag = 'paper'", "f.experiment = 'larger'"),
        ("tag = 'paper' and tag in ('bad', 'worse')", "f.experiment = 'larger' AND f.stage = 'linear' AND f.seed = 1"),
        ("tag <> 'bad'", "NOT (f.stage = 'linear' AND f.seed = 1)"),
        ("not (tag like 'pa%' or tag = 'bad')", "f.experiment <> 'larger' AND NOT (f.stage = 'linear' AND f.seed = 1)"),
        ("tag not between 'a' and 'c'", "NOT (f.stage = 'linear' AND f.seed = 1)"),
        ("tag is null", "f.experiment <> 'larger' AND NOT (f.stage = 'linear' AND f.seed = 1)"),
        ("tag is not null", "f.experiment = 'larger' OR (f.stage = 'linear' AND f.seed = 1)"),
        ("age < '1d' and created > '2020-01-01'", "true"),
        ("age > '1d'", "false"),
        ("age between '0s' and '1d'", "true"),
        ("age is not null", "true"),
        ("finished is null", "f.value IS NULL"),
        ("device_seconds < '1s' and dataset_sha256 is null", "true"),
        ("owner = 'o''brien; DROP TABLE jobs'", "false"),
    ] {
        let expected: i64 =
            database.value(&format!("SELECT count(*) FROM job_facts f JOIN jobs j ON j.id = f.job_id WHERE {sql}"));
        let answer = asked(&database, &about(condition)).await.unwrap_or_else(|error| panic!("{condition}: {error}"));
        assert_eq!(i64::try_from(answer.rows.len()).unwrap(), expected, "{condition}");
    }
    assert_eq!(database.value::<i64>("SELECT count(*) FROM job_facts"), 19);
}

#[tokio::test]
async fn every_name_is_a_column_an_order_and_a_key() {
    let database = measured().await;
    let mut names: Vec<String> = ask::Column::ALL.iter().map(|column| column.name().to_owned()).collect();
    names.extend(
        ["test_accuracy", "best(knn_accuracy)", "last(knn_accuracy)", "contrastive.augment.hue"].map(str::to_owned),
    );
    let all = asked(&database, &Question { columns: names.clone(), ..about("") }).await.unwrap();
    assert!(all.rows.iter().all(|row| row.cells.len() == names.len()));
    for name in &names {
        let known = Known { results: &["test_accuracy".to_owned()], curves: &["knn_accuracy".to_owned()] };
        let kind = ask::name(name, known).unwrap().kind();
        asked(&database, &Question { order: name.clone(), ..about("") })
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        asked(&database, &Question { by: vec![name.clone()], ..about("") })
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let grouped =
            asked(&database, &Question { by: vec!["stage".to_owned()], order: name.clone(), ..about("") }).await;
        let has_mean = !matches!(kind, ask::Kind::Text | ask::Kind::Time);
        assert_eq!(grouped.is_ok(), has_mean, "{name}: {grouped:?}");
    }
}

#[tokio::test]
async fn an_owner_a_time_and_an_experiment_narrow_it() {
    let database = measured().await;
    let count = async |question: Question| asked(&database, &question).await.unwrap().rows.len();
    assert_eq!(count(Question { owner: "ada".to_owned(), ..about("") }).await, 18);
    assert_eq!(count(Question { owner: "bob".to_owned(), ..about("") }).await, 0);
    assert_eq!(count(Question { since: "1h".to_owned(), ..about("") }).await, 18);
    assert_eq!(count(Question { since: "2999-01-01".to_owned(), ..about("") }).await, 0);
    assert_eq!(count(Question { target: "larger".to_owned(), ..about("stage = 'linear'") }).await, 2);
    let Err(Error::Invalid(why)) = asked(&database, &Question { since: "lately".to_owned(), ..about("") }).await else {
        panic!()
    };
    assert!(why.starts_with("since: `lately` is no time"), "{why}");
    let Err(Error::Invalid(why)) = asked(&database, &about("acuracy > 1")).await else { panic!() };
    assert!(why.contains("did you mean `accuracy`?") && why.contains("  ^"), "{why}");
    let Err(Error::Invalid(why)) = asked(&database, &Question { order: "tset_accuracy".to_owned(), ..about("") }).await
    else {
        panic!()
    };
    assert!(why.contains("did you mean `test_accuracy`?"), "{why}");
}

#[tokio::test]
async fn a_list_by_a_condition_is_that_of_jobs_page_by_page() {
    let database = measured().await;
    let list = async |question: Question| {
        let mut conn = database.store.reader().await.unwrap();
        crate::query::jobs::find(&mut conn, "ada", &question).await.unwrap()
    };
    let states = vec![JobState::Queued, JobState::Blocked];
    let question = Question { limit: 4, states, owner: "ada".to_owned(), ..about("stage = 'linear'") };
    let (mut page, mut seen) = (question.clone(), Vec::new());
    loop {
        let (rows, found) = list(page.clone()).await;
        assert!(rows.iter().map(|row| row.id).eq(found.ids.iter().copied()), "in their order");
        assert!(rows.iter().all(|row| row.stage == "linear" && row.state == "blocked"), "{rows:?}");
        assert_eq!(found.total, page.cursor.is_empty().then_some(Total { count: 12, is_exact: true }));
        seen.extend(found.ids);
        let Some(next) = found.next else { break };
        page.cursor = next;
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 12);
    let none = Question { states: vec![JobState::Failed], ..question };
    assert_eq!(list(none).await.0.len(), 0);
    // A list without a condition says whether there is more.
    let mut conn = database.store.reader().await.unwrap();
    let (rows, more) = crate::query::jobs::list(&mut conn, "ada", "", &[], 17).await.unwrap();
    assert_eq!((rows.len(), more), (17, true));
    let (rows, more) = crate::query::jobs::list(&mut conn, "ada", "", &[], 18).await.unwrap();
    assert_eq!((rows.len(), more), (18, false));
}

/// A statement is prepared once for a connection, by its text: what a question sends must be of the type that its text says.
#[tokio::test]
async fn a_whole_number_and_a_fraction_are_asked_one_after_the_other() {
    let database = measured().await;
    let mut conn = database.store.reader().await.unwrap();
    let mut count = async |condition: &str| ask(&mut conn, "ada", &about(condition)).await.unwrap().rows.len();
    for (condition, expected) in [
        ("seed > 1", 12),
        ("seed > 1.5", 12),
        ("seed > 2", 6),
        ("batch_size > 16.5 and stage = 'contrastive'", 6),
        ("batch_size > 16 and stage = 'contrastive'", 6),
        ("seed < 1e30", 18),
        ("seed < 2", 6),
        ("seed between 0.5 and 1.5", 6),
        ("seed between 1 and 1", 6),
        ("seed in (1.5, 2)", 6),
        ("seed in (1, 2.5)", 6),
        ("seed = 99999999999999999999999999", 0),
        ("seed = 1", 6),
    ] {
        assert_eq!(count(condition).await, expected, "{condition}");
    }
}

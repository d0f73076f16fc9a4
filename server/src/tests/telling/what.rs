//! What is told, and to whom.

use futures::future::join_all;
use tandem_domain::telling::PENDING_OF_ONE;

use super::*;
use crate::{
    cancel::cancel,
    people::{Change, set_person},
    reap,
    store::{
        events::{self, About},
        measures,
    },
};

const URL: &str = "http://127.0.0.1:9/";

/// Three jobs that wait for nothing.
const THREE: &str = "name = \"three\"\ndataset = \"shapes\"\n[jobs.a]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\n\
                     epochs = 2\nbatch_size = 64\nworkers = 1\n[jobs.a.sweep]\nseed = [1, 2, 3]\n";

async fn gathered(database: &TestStore) -> Vec<(String, String, String)> {
    let (_, term) = leading(database, Courier::new(&options(), 7077).unwrap()).await;
    while gather::happened(&database.store, term, clock(database).await).await.unwrap() {}
    outbox(database)
}

#[tokio::test]
async fn an_experiment_is_told_of_once_when_the_last_of_its_jobs_has_ended() {
    let database = TestStore::open().await;
    wants(&database, &person("ada"), URL, "finished,failed").await;
    let jobs = ids(&database.submit(THREE).await);
    end(&database, jobs[0], JobEvent::Succeeded, "").await;
    let at = Utc::now();
    let mut conn = database.store.conn().await.unwrap();
    for (job, value) in [(jobs[0], 0.5), (jobs[1], 0.875)] {
        measures::put_result(&mut conn, job, 1, "knn_accuracy", value, at).await.unwrap();
    }
    drop(conn);
    assert_eq!(gathered(&database).await, [], "two of its jobs are open");
    // The last two end at once: neither sees that the other has.
    join_all(jobs[1..].iter().map(|job| end(&database, *job, JobEvent::Succeeded, ""))).await;
    let told = gathered(&database).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (event, _, text) = &told[0];
    assert_eq!(event, "finished");
    assert!(text.starts_with("three has finished: 3 succeeded; best knn_accuracy 87.50 % of a"), "{text}");
    assert_eq!(gathered(&database).await.len(), 1, "told once");
    assert_eq!(database.count("happenings"), 0);
}

#[tokio::test]
async fn two_that_gather_in_turn_tell_once_and_who_does_not_lead_tells_nothing() {
    let database = TestStore::open().await;
    wants(&database, &person("ada"), URL, "finished").await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let (_, before) = leading(&database, Courier::new(&options(), 7077).unwrap()).await;
    end(&database, job, JobEvent::Succeeded, "").await;
    let (_, now) = leading(&database, Courier::new(&options(), 7077).unwrap()).await;
    assert!(now > before);
    gather::happened(&database.store, before, clock(&database).await).await.unwrap();
    assert_eq!(outbox(&database), [], "its term is over");
    gather::happened(&database.store, now, clock(&database).await).await.unwrap();
    assert_eq!(outbox(&database).len(), 1);
}

#[tokio::test]
async fn a_failure_is_told_with_its_reason_and_each_failed_job_only_to_who_asked() {
    let database = TestStore::open().await;
    let whole = wants(&database, &person("ada"), URL, "failed").await;
    let each = wants(&database, &person("ada"), "http://127.0.0.1:9/each", "job-failed").await;
    wants(&database, &person("ada"), "http://127.0.0.1:9/good", "finished").await;
    let jobs = ids(&database.submit(THREE).await);
    end(&database, jobs[0], JobEvent::Failed, "the loss\r\nis \u{1b}[2J not finite").await;
    let told = gathered(&database).await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.as_str(), &told[0].1), ("job-failed", &each));
    assert!(told[0].2.starts_with("three/a") && told[0].2.contains("not finite"), "{told:?}");
    assert!(!told[0].2.chars().any(char::is_control), "{told:?}");
    end(&database, jobs[1], JobEvent::Succeeded, "").await;
    end(&database, jobs[2], JobEvent::Succeeded, "").await;
    let told = gathered(&database).await;
    assert_eq!((told[1].0.as_str(), &told[1].1, told.len()), ("failed", &whole, 2));
    assert_eq!(told[1].2, "three has ended: 2 succeeded, 1 failed");
    let failures =
        "SELECT message #>> '{experiment,failures,0,reason}' FROM tells WHERE message ->> 'event' = 'failed'";
    assert!(database.text(failures).contains("not finite"));
}

#[tokio::test]
async fn one_is_told_of_ones_own_an_admin_of_all_and_who_is_disabled_of_nothing() {
    let database = TestStore::open().await;
    let root = person("root");
    let change = |name: &str| Change {
        name: name.to_owned(),
        create: true,
        role: Some("submitter".to_owned()),
        ..Change::default()
    };
    set_person(&database.store, &root, &change("eve")).await.unwrap();
    set_person(&database.store, &root, &Change { role: Some("admin".to_owned()), ..change("root") }).await.unwrap();
    let own = wants(&database, &person("ada"), URL, "finished").await;
    wants(&database, &person("eve"), URL, "finished").await;
    let all = wants(&database, &root, URL, "finished").await;
    let job = ids(&database.submit(&single(1)).await)[0];
    end(&database, job, JobEvent::Succeeded, "").await;
    let mut told: Vec<String> = gathered(&database).await.into_iter().map(|(_, target, _)| target).collect();
    let mut expected = vec![own.clone(), all];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);

    // No admin any more, and one who may do nothing.
    let lower = Change { create: false, role: Some("reader".to_owned()), ..change("root") };
    set_person(&database.store, &root, &lower).await.unwrap();
    let disable = Change { create: false, role: None, disabled: Some(true), ..change("eve") };
    set_person(&database.store, &root, &disable).await.unwrap();
    let job = ids(&database.submit(&single(2)).await)[0];
    end(&database, job, JobEvent::Succeeded, "").await;
    let told = gathered(&database).await;
    assert_eq!((told.len(), &told[2].1), (3, &own), "{told:?}");
    // What waits for who was disabled is not sent, either.
    let disable = Change { create: false, role: None, disabled: Some(true), ..change("root") };
    set_person(&database.store, &person("boss"), &disable).await.unwrap();
    let (teller, term) = leading(&database, Courier::new(&options(), 7077).unwrap()).await;
    let now = clock(&database).await;
    let claimed = teller.claim(term, now, 16).await.unwrap();
    assert!(claimed.len() == 1 && claimed[0].target == own, "{claimed:?}");
}

#[tokio::test]
async fn what_one_has_cancelled_oneself_is_no_news() {
    let database = TestStore::open().await;
    wants(&database, &person("ada"), URL, "finished,failed,job-failed").await;
    database.submit(THREE).await;
    cancel(&database.store, "three", &person("ada")).await.unwrap();
    assert_eq!(database.count("happenings"), 3);
    assert_eq!(gathered(&database).await, []);
}

#[tokio::test]
async fn an_experiment_that_waits_is_told_of_when_its_owner_said_and_once() {
    let database = TestStore::open().await;
    wants(&database, &person("ada"), URL, "waits:1h").await;
    let jobs = ids(&database.submit(THREE).await);
    database.execute("UPDATE jobs SET reason = 'needs 1 worker; the fleet has none'");
    let (_, term) = leading(&database, Courier::new(&options(), 7077).unwrap()).await;
    let began = clock(&database).await;
    let at = async |passed| {
        gather::waiting(&database.store, term, began + minutes(passed)).await.unwrap();
        outbox(&database)
    };
    assert_eq!(at(59).await, []);
    let told = at(61).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].2, "three has waited for 1 h 1 min: needs 1 worker; the fleet has none");
    assert_eq!((at(62).await.len(), at(600).await.len()), (1, 1), "once");
    // Something of it runs: it does not wait.
    database.execute("DELETE FROM tells");
    let mut tx = database.store.begin().await.unwrap();
    let zero = std::time::Duration::ZERO;
    jobs::transition(&mut tx, jobs[0], JobState::Queued, JobEvent::Placed, "", zero).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(at(600).await, []);
}

#[tokio::test]
async fn a_worker_that_is_lost_or_quarantined_is_told_of() {
    let database = TestStore::open().await;
    wants(&database, &person("ada"), URL, "device-lost").await;
    wants(&database, &person("ada"), "http://127.0.0.1:9/other", "finished").await;
    let worker = database.workers(1).await[0];
    let (_, term) = leading(&database, Courier::new(&options(), 7077).unwrap()).await;
    database.execute("UPDATE workers SET last_seen = now() - interval '1 h'");
    reap::workers(&database.store, term).await.unwrap();
    let told = gathered(&database).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].0 == "device-lost" && told[0].2.starts_with("cpu-0 sent no heartbeat"), "{told:?}");
    let mut conn = database.store.conn().await.unwrap();
    for kind in ["worker quarantined", "worker released", "device lost"] {
        events::append(&mut conn, About::worker(worker), kind, "the card fell off the bus").await.unwrap();
    }
    drop(conn);
    let told = gathered(&database).await;
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(database.text("SELECT DISTINCT message ->> 'worker' FROM tells"), "cpu-0");
}

#[tokio::test]
async fn nothing_is_kept_for_nobody_and_no_target_gathers_without_end() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    end(&database, job, JobEvent::Succeeded, "").await;
    assert_eq!(database.count("happenings"), 0);

    let target = wants(&database, &person("ada"), URL, "finished").await;
    database.execute(&format!(
        "INSERT INTO tells (id, event, target_id, message, next_try, made_at)
         SELECT gen_random_uuid(), 'x/' || n, '{target}', '{{}}', now(), now() FROM generate_series(1, {PENDING_OF_ONE}) n"
    ));
    let job = ids(&database.submit(&single(2)).await)[0];
    end(&database, job, JobEvent::Succeeded, "").await;
    assert_eq!(i64::try_from(gathered(&database).await.len()).unwrap(), PENDING_OF_ONE);

    // What has ended is forgotten a fortnight later, what is pending is not.
    database.execute("UPDATE tells SET state = 'sent', ended_at = now() - interval '15 days' WHERE event <> 'x/1'");
    tells::forget(&mut database.store.conn().await.unwrap(), clock(&database).await).await.unwrap();
    assert_eq!(database.count("tells"), 1);
}

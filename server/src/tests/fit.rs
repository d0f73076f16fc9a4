//! Which workers get which jobs: those that are fit, see the images and can read the spec.

use tandem_domain::images::{Announced, SeenDataset};

use super::*;
use crate::error::Error;

fn cats(sha256: &str) -> Announced {
    let seen = SeenDataset { name: "folder:cats".to_owned(), sha256: sha256.to_owned(), ..SeenDataset::default() };
    Announced { complete: true, datasets: vec![seen] }
}

fn on_cats(seed: u32) -> String {
    single(seed).replace("shapes", "folder:cats")
}

impl TestStore {
    /// A worker that is there and has said this of its data folder.
    async fn worker(&self, index: u32, seen: Option<&Announced>) -> Uuid {
        let (worker, session) = (registration(Uuid::new_v4(), index), Uuid::new_v4());
        let mut conn = self.store.conn().await.unwrap();
        workers::register(&mut conn, &worker, session).await.unwrap();
        if let Some(seen) = seen {
            assert!(workers::set_datasets(&mut conn, worker.id, session, seen).await.unwrap());
            assert!(!workers::set_datasets(&mut conn, worker.id, session, seen).await.unwrap(), "no news");
        }
        worker.id
    }

    /// Workers of the live attempt of a job.
    fn gang(&self, job: Uuid) -> Vec<Uuid> {
        self.lease_holders(job).into_iter().map(|holder| holder.worker).collect()
    }
}

#[tokio::test]
async fn a_job_goes_only_where_the_images_are_that_it_was_submitted_with() {
    let database = TestStore::open().await;
    let other = database.worker(0, Some(&cats("aaaa"))).await;
    let [one, two] = [database.worker(1, Some(&cats("bbbb"))).await, database.worker(2, Some(&cats("bbbb"))).await];
    let submitted = database.submit(&on_cats(1)).await;
    assert!(submitted.notes[0].contains("not the same on all workers"), "{:?}", submitted.notes);
    assert_eq!(submitted.jobs[0].planned.images.as_deref(), Some("bbbb"));

    let (scheduler, mut term) = (database.scheduler(), None);
    let jobs = [submitted, database.submit(&on_cats(2)).await, database.submit(&on_cats(3)).await];
    let jobs = jobs.map(|submitted| ids(&submitted)[0]);
    database.schedule(&scheduler, &mut term).await;
    let mut on: Vec<Uuid> = jobs[..2].iter().flat_map(|&job| database.gang(job)).collect();
    on.sort();
    let mut expected = [one, two];
    expected.sort();
    assert_eq!(on, expected);
    let (state, reason) = database.job(jobs[2]).await;
    assert_eq!(state, "queued");
    assert!(reason.starts_with("waits for 1 cpu worker"), "{reason}");

    // Those that saw them have gone: the other one is not taken, and holds up nobody.
    database.execute("UPDATE workers SET state = 'gone' WHERE name <> 'cpu-0'");
    let shapes = ids(&database.submit(&single(4)).await)[0];
    database.schedule(&scheduler, &mut term).await;
    let (state, reason) = database.job(jobs[2]).await;
    assert_eq!(state, "queued");
    assert!(reason.contains("`folder:cats` with the images of the submit (checksum bbbb) is not on cpu-0"), "{reason}");
    assert_eq!(database.gang(shapes), [other]);
}

#[tokio::test]
async fn jobs_whose_images_nobody_sees_any_more_hide_no_others_however_many_they_are() {
    let database = TestStore::open().await;
    let worker = database.worker(0, Some(&cats("aaaa"))).await;
    let seeds: Vec<String> = (1..=400).map(|seed| seed.to_string()).collect();
    let sweep = format!("{}[jobs.encoder.sweep]\nseed = [{}]\n", on_cats(1), seeds.join(", "));
    database.submit(&sweep).await;
    database.execute("UPDATE workers SET datasets = NULL");
    let shapes = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.gang(shapes), [worker]);
}

#[tokio::test]
async fn a_data_set_that_nobody_has_is_refused_and_nothing_is_stored() {
    let database = TestStore::open().await;
    database.worker(0, Some(&Announced { complete: true, datasets: Vec::new() })).await;
    let refused = submit(&database.store, &submission(&on_cats(1))).await.unwrap_err();
    let Error::Refused(why) = refused else { panic!("{refused:?}") };
    assert_eq!(
        why,
        "job `encoder`: no worker has the data set `folder:cats` (they see no data set); bring yours by `tandem data put cats \
         FOLDER`"
    );
    assert_eq!(database.rows::<(i64,)>("SELECT count(*) FROM experiments"), [(0,)]);
    let dry = Submission { dry_run: true, ..submission(&on_cats(1)) };
    let planned = submit(&database.store, &dry).await.unwrap();
    assert!(planned.jobs[0].planned.refusal.as_ref().is_some_and(|why| why.contains("folder:cats")));
}

#[tokio::test]
async fn a_job_that_was_stored_before_images_were_part_of_its_key_is_shared() {
    let database = TestStore::open().await;
    // No worker: nothing is known of the images.
    let before = database.submit(&on_cats(1)).await;
    database.worker(0, Some(&cats("aaaa"))).await;
    let after = database.submit(&on_cats(1)).await;
    assert_eq!(ids(&after), ids(&before));
    assert!(after.jobs[0].reused.is_some());
    assert_eq!(after.jobs[0].planned.content_key, before.jobs[0].planned.content_key, "the stored one");
    let dry = Submission { dry_run: true, ..submission(&on_cats(1)) };
    assert!(submit(&database.store, &dry).await.unwrap().jobs[0].reused.is_some());
    let fresh = Submission { fresh: true, ..submission(&on_cats(1)) };
    assert_ne!(ids(&submit(&database.store, &fresh).await.unwrap()), ids(&before));

    // Other images, another job.
    let [first, again] = [database.submit(&on_cats(2)).await, database.submit(&on_cats(2)).await];
    assert_eq!(ids(&first), ids(&again));
    database.execute("UPDATE workers SET datasets = jsonb_set(datasets, '{datasets,0,sha256}', '\"bbbb\"')");
    assert_ne!(ids(&database.submit(&on_cats(2)).await), ids(&first));
}

#[tokio::test]
async fn an_unfit_worker_gets_nothing_and_a_spec_goes_to_nobody_who_cannot_read_it() {
    let database = TestStore::open().await;
    let (worker, session) = (registration(Uuid::new_v4(), 0), Uuid::new_v4());
    let mut conn = database.store.conn().await.unwrap();
    let unfit = workers::Registration { unfit: "it does not see the store".to_owned(), ..worker.clone() };
    workers::register(&mut conn, &unfit, session).await.unwrap();
    let job = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let (state, reason) = database.job(job).await;
    assert_eq!(
        (state.as_str(), reason.as_str()),
        ("queued", "needs 1 worker; the fleet has 1 unfit (`tandem status` says why)")
    );

    // An answer on an earlier stream is none.
    assert!(!workers::set_unfit(&mut conn, worker.id, Uuid::new_v4(), "").await.unwrap());
    assert!(workers::set_unfit(&mut conn, worker.id, session, "").await.unwrap());
    database.execute("UPDATE jobs SET spec_version = 99");
    database.schedule(&scheduler, &mut term).await;
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.contains("its spec (version 99) is too new for cpu-0"), "{reason}");
    database.execute("UPDATE workers SET spec_version = 99");
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.gang(job), [worker.id]);
}

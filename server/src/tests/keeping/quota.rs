use super::*;
use crate::store::stored;

#[tokio::test]
async fn who_stores_too_much_submits_nothing_and_is_told_what_to_delete() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs, 0).await;
    database.execute("UPDATE artifacts SET bytes = 1000000000");
    for job in &jobs {
        stored::recount(&mut database.store.conn().await.unwrap(), *job).await.unwrap();
    }
    set_policy(&database, "[limits]\nstored_gb = 2.5").await;
    let refused = submit(&database.store, &submission(&single(1))).await;
    let Err(Error::Refused(why)) = refused else { panic!("{refused:?}") };
    for part in ["files of ada's jobs take 3.0 GB, of 2.5 GB", "the largest: quickstart/", "(1.0 GB)", "tandem delete"]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(database.count("experiments"), 1, "nothing is stored");
    let dry = submit(&database.store, &Submission { dry_run: true, ..submission(&single(1)) }).await.unwrap();
    assert!(dry.notes.iter().any(|note| note.starts_with("it would be refused: files of ada's")), "{:?}", dry.notes);
    assert_eq!(submit_as(&database, "bob", &single(1)).await.len(), 1, "bob has nothing stored");

    deletes(&database, "ada", "quickstart", NOW).await.unwrap();
    submit(&database.store, &submission(&single(2))).await.unwrap();
}

#[tokio::test]
async fn what_several_want_counts_for_the_one_whose_devices_it_takes() {
    let database = TestStore::open().await;
    let job = submit_as(&database, "ada", &single(1)).await[0];
    assert_eq!(submit_as(&database, "bob", &single(1)).await[0], job);
    put_files(&mut database.store.conn().await.unwrap(), job, 1).await;
    let of = async |who: &str| stored::of(&mut database.store.conn().await.unwrap(), who).await.unwrap();
    assert_eq!((of("ada").await, of("bob").await), (120, 0));
    // Ada takes back her wish, and bob is the owner of what goes on.
    crate::cancel::cancel(&database.store, "single", &person("ada")).await.unwrap();
    assert_eq!((of("ada").await, of("bob").await), (0, 120));
}

use super::*;
use crate::{
    keeping::{archive, labels},
    query::{
        asked::Question,
        experiments,
        jobs::{find, tagged},
        results,
    },
    store::{archive::settle, summaries::Chosen},
};

async fn tags(
    database: &TestStore,
    who: &str,
    target: &str,
    words: &[&str],
    remove: bool,
) -> Result<Vec<String>, Error> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let labelled = labels::set_tags(&database.store, target, &words, remove, &person(who)).await?;
    Ok(labelled.into_iter().flat_map(|one| one.labels.tags).collect())
}

#[tokio::test]
async fn tags_are_put_found_and_taken_off() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    submit_as(&database, "bob", &single(1)).await;
    assert_eq!(
        tags(&database, "ada", "quickstart", &["v2", "camera-ready"], false).await.unwrap(),
        ["camera-ready", "v2"]
    );
    tags(&database, "ada", "quickstart/encoder", &["best"], false).await.unwrap();
    let conn = &mut *database.store.conn().await.unwrap();
    let (found, more) = tagged(conn, "best", &[], 9).await.unwrap();
    assert!(!more);
    assert_eq!((found.len(), found[0].id), (1, jobs[0]));
    assert_eq!(found[0].tags, ["best", "camera-ready", "v2"], "with those of its experiment");
    assert_eq!(tagged(conn, "v2", &[], 9).await.unwrap().0.len(), 3);
    assert!(tagged(conn, "v2", &[], 2).await.unwrap().1, "it is cut");
    assert_eq!(tagged(conn, "v2", &[tandem_domain::state::JobState::Blocked], 9).await.unwrap().0.len(), 2);
    let beside = |condition: &str, tag: &str| Question {
        condition: condition.to_owned(),
        tag: tag.to_owned(),
        ..Question::default()
    };
    assert_eq!(find(conn, "ada", &beside("stage = 'linear'", "v2")).await.unwrap().0.len(), 2);
    assert_eq!(find(conn, "ada", &beside("stage = 'linear'", "best")).await.unwrap().0.len(), 0);
    let chosen = Chosen { tag: "v2", ..Chosen::default() };
    let summaries = experiments::list(conn, chosen, 9).await.unwrap();
    assert_eq!((summaries.len(), summaries[0].tags.len()), (1, 2));
    assert_eq!(database.text("SELECT DISTINCT who FROM tags"), "ada");

    assert!(matches!(tags(&database, "eve", "quickstart", &["x"], false).await, Err(Error::Forbidden(_))));
    assert!(matches!(tags(&database, "ada", "quickstart", &["a\u{202e}"], false).await, Err(Error::Invalid(_))));
    let many: Vec<String> = (0..19).map(|tag| format!("t{tag}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = tags(&database, "ada", "quickstart", &many, false).await;
    assert!(matches!(&refused, Err(Error::Refused(why)) if why.contains("more than 20 tags")), "{refused:?}");
    assert_eq!(database.count("tags"), 3, "all of them or none");
    assert_eq!(tags(&database, "ada", "quickstart", &["v2"], true).await.unwrap(), ["camera-ready"]);
    assert!(matches!(tags(&database, "ada", "quickstart", &["v2"], true).await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn a_note_replaces_the_one_before_and_says_whose_it_is() {
    let database = TestStore::open().await;
    submit_as(&database, "ada", &single(1)).await;
    let noted = async |who: &str, target: &str, text: &str| {
        labels::set_note(&database.store, target, text, &person(who))
            .await
            .map(|mut all| all.pop().unwrap().labels.note)
    };
    noted("ada", "single", "first").await.unwrap();
    let second = noted("root", "ada/single", "second").await.unwrap().unwrap();
    assert_eq!((second.text.as_str(), second.who.as_str(), database.count("notes")), ("second", "root", 1));
    assert!(matches!(noted("ada", "single", "a\u{1b}b").await, Err(Error::Invalid(_))));
    assert!(noted("ada", "single", " ").await.unwrap().is_none());
    assert_eq!(database.count("notes"), 0);
    noted("ada", "single/encoder", "of the job").await.unwrap();
    let job = ids(&database.submit(&single(1)).await)[0];
    let row = crate::target::rows(&mut database.store.conn().await.unwrap(), &[job]).await.unwrap().pop().unwrap();
    assert_eq!((row.note_text.as_deref(), row.note_who.as_deref()), (Some("of the job"), Some("ada")));
}

async fn shown(database: &TestStore) -> (usize, usize, usize, usize) {
    let conn = &mut *database.store.conn().await.unwrap();
    let question = results::Question { own: "ada", target: "", stage: "", best: "", ascending: false, limit: 9 };
    let archived = Chosen { archived: true, ..Chosen::default() };
    (
        crate::query::jobs::list(conn, "ada", "", &[], 9).await.unwrap().0.len(),
        results::query(conn, question).await.unwrap().len(),
        experiments::list(conn, Chosen::default(), 9).await.unwrap().len(),
        experiments::list(conn, archived, 9).await.unwrap().len(),
    )
}

#[tokio::test]
async fn what_is_archived_is_in_no_list_and_found_by_its_name() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    let set = async |archived| archive::set(&database.store, "quickstart", archived, &person("ada")).await;
    let live = set(true).await;
    assert!(matches!(&live, Err(Error::Refused(why)) if why.contains("have not ended")), "{live:?}");
    succeed(&database, &jobs, 0).await;
    assert_eq!(shown(&database).await, (3, 3, 1, 0));
    assert_eq!(set(true).await.unwrap().len(), 1);
    assert_eq!(shown(&database).await, (0, 0, 0, 1));
    assert!(matches!(set(true).await, Err(Error::Refused(_))));
    let conn = &mut *database.store.conn().await.unwrap();
    let by_name = crate::query::show::show(conn, "quickstart", "ada").await.unwrap();
    assert!(by_name.is_archived && by_name.jobs.len() == 3);
    assert_eq!(crate::query::jobs::list(conn, "ada", "quickstart", &[], 9).await.unwrap().0.len(), 3);
    tags(&database, "ada", "quickstart", &["v2"], false).await.unwrap();
    let tagged = Question { tag: "v2".to_owned(), condition: "stage = 'linear'".to_owned(), ..Question::default() };
    assert_eq!(find(conn, "ada", &tagged).await.unwrap().0.len(), 2, "and by its tag");

    assert_eq!(set(false).await.unwrap().len(), 1);
    assert_eq!(shown(&database).await, (3, 3, 1, 0));
    // Whoever submits the same sees it again.
    set(true).await.unwrap();
    assert_eq!(submit_as(&database, "bob", &experiment(1)).await, jobs);
    assert_eq!(shown(&database).await, (3, 3, 1, 1), "they are bob's, too");
    assert_eq!(database.text("SELECT DISTINCT owner FROM jobs"), "ada", "and still take ada's devices");
    settle(conn, &jobs).await.unwrap();
    assert_eq!(database.count("jobs WHERE hidden"), 0);
    let job = archive::set(&database.store, &jobs[0].to_string(), true, &person("ada")).await;
    assert!(matches!(job, Err(Error::Invalid(_))), "{job:?}");
}

#[tokio::test]
async fn what_is_asked_for_again_is_seen_again() {
    let database = TestStore::open().await;
    submit_as(&database, "ada", &single(1)).await;
    crate::cancel::cancel(&database.store, "single", &person("ada")).await.unwrap();
    archive::set(&database.store, "single", true, &person("ada")).await.unwrap();
    assert_eq!(database.count("jobs WHERE hidden"), 1);
    crate::sharing::requeue::requeue(&database.store, "single", None, &person("ada")).await.unwrap();
    assert_eq!(database.count("jobs WHERE hidden"), 0);
}

//! Questions that are saved, asked again, and removed.

use super::*;
use crate::{
    error::Error,
    query::{
        asked::{Question, ask},
        views::{list, remove, resolved, save},
    },
    store::asked::Cell,
};

fn about(condition: &str) -> Question {
    Question { condition: condition.to_owned(), columns: vec!["job".to_owned()], ..Question::default() }
}

async fn jobs_of(database: &TestStore, own: &str, question: Question) -> Result<Vec<String>, Error> {
    let mut conn = database.store.reader().await.unwrap();
    let question = resolved(&mut conn, own, question).await?;
    let answer = ask(&mut conn, own, &question).await?;
    let job = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    Ok(answer.rows.iter().map(|row| job(&row.cells[0])).collect())
}

fn view(name: &str, condition: &str) -> Question {
    Question { view: name.to_owned(), ..about(condition) }
}

#[tokio::test]
async fn a_view_is_asked_by_its_name_and_narrowed_and_belongs_to_who_saved_it() {
    let database = TestStore::open().await;
    database.submit(&experiment(1)).await;
    let (ada, bob) = (person("ada"), person("bob"));
    let probes = Question { mine: true, order: "label_fraction".to_owned(), ..about("stage = 'linear'") };
    let (saved, replaced) = save(&database.store, &ada, "probes", &probes).await.unwrap();
    assert_eq!((saved.owner.as_str(), replaced), ("ada", false));
    let both = ["linear[label_fraction=1.0]", "linear[label_fraction=0.1]"];
    assert_eq!(jobs_of(&database, "ada", view("probes", "")).await.unwrap(), both);
    assert_eq!(jobs_of(&database, "ada", view("ada/probes", "label_fraction < 0.5")).await.unwrap(), both[1..]);
    // `mine` is of who asks.
    assert!(jobs_of(&database, "bob", view("ada/probes", "")).await.unwrap().is_empty());
    for unknown in ["probes", "ada/other", "carl/probes"] {
        let answer = jobs_of(&database, "bob", view(unknown, "")).await;
        assert!(matches!(answer, Err(Error::NotFound(_))), "{unknown}: {answer:?}");
    }

    let (_, replaced) = save(&database.store, &ada, "probes", &about("stage = 'contrastive'")).await.unwrap();
    assert!(replaced);
    assert_eq!(jobs_of(&database, "bob", view("ada/probes", "")).await.unwrap(), ["encoder"]);
    save(&database.store, &bob, "probes", &about("")).await.unwrap();
    let mut conn = database.store.reader().await.unwrap();
    assert_eq!(list(&mut conn, Some("bob")).await.unwrap().0.len(), 1);
    assert_eq!(list(&mut conn, None).await.unwrap().0.len(), 2);
    drop(conn);
    remove(&database.store, &bob, "probes").await.unwrap();
    assert!(matches!(remove(&database.store, &bob, "probes").await, Err(Error::NotFound(_))), "ada's is not bob's");
    assert!(matches!(remove(&database.store, &bob, "ada/probes").await, Err(Error::Forbidden(_))));
    assert_eq!(database.count("saved_views WHERE owner = 'ada'"), 1);
    remove(&database.store, &ada, "ada/probes").await.unwrap();
}

#[tokio::test]
async fn what_is_no_question_is_not_saved_and_nobody_saves_without_end() {
    let database = TestStore::open().await;
    database.submit(&experiment(1)).await;
    let ada = person("ada");
    for (name, question) in [
        ("a b", about("")),
        ("A", about("")),
        ("wrong", about("stag = 'linear'")),
        ("nested", view("probes", "")),
        ("paged", Question { cursor: "x".to_owned(), ..about("") }),
        ("figure", Question { order: "acuracy".to_owned(), ..about("") }),
    ] {
        let saved = save(&database.store, &ada, name, &question).await;
        assert!(matches!(saved, Err(Error::Invalid(_))), "{name}: {saved:?}");
    }
    assert_eq!(database.count("saved_views"), 0);
    database
        .execute("INSERT INTO saved_views SELECT 'ada', 'v' || number, '{}' FROM generate_series(1, 200) AS number");
    let full = save(&database.store, &ada, "one-more", &about("")).await;
    assert!(matches!(full, Err(Error::Refused(_))), "{full:?}");
    assert!(save(&database.store, &ada, "v7", &about("seed = 1")).await.unwrap().1);
    // One of another version is told, and stops nobody.
    database.execute("UPDATE saved_views SET question = '7' WHERE name = 'v8'");
    assert!(jobs_of(&database, "ada", view("v8", "")).await.is_err());
}

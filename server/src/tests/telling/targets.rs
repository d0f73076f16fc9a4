//! Where people want to be told.

use super::*;
use crate::{
    error::Error,
    people::{Change, set_person},
    telling::targets::{list, remove, test},
};

async fn ask(database: &TestStore, who: &Person, kind: &str, address: &str, on: &str) -> Result<Option<String>, Error> {
    let wish = Wish { kind: kind.to_owned(), address: address.to_owned(), on: on.to_owned(), all: false };
    let courier = Courier::new(&options(), 7077).unwrap();
    set(&database.store, &courier, who, &wish).await.map(|(_, secret)| secret)
}

#[tokio::test]
async fn a_secret_is_told_once_and_written_nowhere_else() {
    let database = TestStore::open().await;
    let ada = person("ada");
    let url = "http://127.0.0.1:9/T0/hook-secret";
    let secret = ask(&database, &ada, "webhook", url, "finished").await.unwrap().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 70, "{secret}");
    assert_eq!(ask(&database, &ada, "webhook", url, "waits:2h").await.unwrap(), None, "changed, with the same secret");
    let rows = list(&database.store, &ada).await.unwrap();
    assert_eq!((rows.len(), rows[0].wants().to_string().as_str()), (1, "waits:2h"));
    assert!(!format!("{rows:?}").contains(&secret));
    let audit: Vec<String> =
        database.values("SELECT who || ' ' || what || ' ' || object || ' ' || whose FROM audit ORDER BY at");
    assert_eq!(audit.len(), 2);
    assert!(
        audit[0].starts_with("ada Notify/Set ") && audit[0].ends_with("webhook 127.0.0.1:9, finished ada"),
        "{audit:?}"
    );
    assert!(audit.iter().all(|line| !line.contains(&secret) && !line.contains("hook-secret")), "{audit:?}");
}

#[tokio::test]
async fn one_has_ones_own_alone_and_not_too_many() {
    let database = TestStore::open().await;
    let (ada, eve) = (person("ada"), person("eve"));
    let id = wants(&database, &ada, "http://127.0.0.1:9/", "finished").await;
    assert!(list(&database.store, &eve).await.unwrap().is_empty());
    for refused in
        [remove(&database.store, &eve, &id).await.map(drop), test(&database.store, &eve, &id).await.map(drop)]
    {
        assert!(matches!(&refused, Err(Error::NotFound(why)) if why.contains(&id)), "{refused:?}");
    }
    // An admin, too: what is one's own.
    assert!(remove(&database.store, &person("root"), &id).await.is_err());
    for more in 1..10 {
        wants(&database, &ada, &format!("http://127.0.0.1:9/{more}"), "finished").await;
    }
    let full = ask(&database, &ada, "webhook", "http://127.0.0.1:9/10", "finished").await.unwrap_err();
    assert!(matches!(&full, Error::Full(why) if why.contains("at 10 places")), "{full}");
    remove(&database.store, &ada, &id).await.unwrap();
    ask(&database, &ada, "webhook", "http://127.0.0.1:9/10", "finished").await.unwrap();

    let all = Wish { kind: "webhook".into(), address: "http://127.0.0.1:9/".into(), on: "finished".into(), all: true };
    let courier = Courier::new(&options(), 7077).unwrap();
    let refused = set(&database.store, &courier, &ada, &all).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_when_it_is_asked_for() {
    let database = TestStore::open().await;
    let ada = person("ada");
    for (kind, address, on, why) in [
        ("webhook", "http://169.254.169.254/latest", "finished", "metadata"),
        ("webhook", "http://127.0.0.2:9/", "finished", "this machine itself"),
        ("webhook", "http://127.0.0.1:7077/", "finished", "this coordinator itself"),
        ("webhook", "http://127.0.0.1:9/\r\nX-Evil: 1", "finished", "control characters"),
        ("webhook", "ftp://x/", "finished", "https://"),
        ("webhook", "http://127.0.0.1:9/", "everything", "expected some of"),
        ("mail", "ann@lab.example", "finished", "--mail"),
        ("pigeon", "roof", "finished", "expected webhook or mail"),
    ] {
        let refused = ask(&database, &ada, kind, address, on).await.unwrap_err().to_string();
        assert!(refused.contains(why) && !refused.contains('\r'), "{refused}");
    }
    assert_eq!(database.count("notify_targets"), 0);
    let mail = TellingArgs { mail: Some("sendmail:".into()), mail_from: Some("t@lab".into()), ..options() };
    let courier = Courier::new(&mail, 7077).unwrap();
    for (address, is_right) in [("ann@lab.example", true), ("ann@lab\r\nBcc: all@lab", false), ("-f@lab", false)] {
        let wish = Wish { kind: "mail".into(), address: address.into(), on: "failed".into(), all: false };
        assert_eq!(set(&database.store, &courier, &ada, &wish).await.is_ok(), is_right, "{address:?}");
    }
}

#[tokio::test]
async fn a_test_says_how_it_goes_and_is_not_repeated_at_once() {
    let database = TestStore::open().await;
    let receiver = super::receiver::Receiver::start(super::receiver::OK).await;
    let (teller, _) = leading(&database, Courier::new(&options(), 7077).unwrap()).await;
    let closing = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(teller.run(closing.clone()));
    let ada = person("ada");
    let id = wants(&database, &ada, &receiver.url(), "finished").await;
    assert_eq!(test(&database.store, &ada, &id).await.unwrap(), ("sent".to_owned(), String::new()));
    assert!(receiver.got()[0].contains("this is a test"));
    let again = test(&database.store, &ada, &id).await.unwrap_err();
    assert!(matches!(&again, Error::Refused(why) if why.contains("just now")), "{again}");
    let closed = wants(&database, &ada, "http://127.0.0.1:1/", "finished").await;
    let (state, error) = test(&database.store, &ada, &closed).await.unwrap();
    assert!(state == "pending" && error.contains("cannot connect to 127.0.0.1:1"), "{state}: {error}");
    closing.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_an_account_had_goes_with_it_to_the_person() {
    let database = TestStore::open().await;
    wants(&database, &person("login:ada"), "http://127.0.0.1:9/", "finished").await;
    let person_ada = Change {
        name: "ada".to_owned(),
        create: true,
        role: Some("submitter".to_owned()),
        login: Some("ada".to_owned()),
        disabled: None,
    };
    set_person(&database.store, &person("root"), &person_ada).await.unwrap();
    assert_eq!(database.text("SELECT person FROM notify_targets"), "ada");
}

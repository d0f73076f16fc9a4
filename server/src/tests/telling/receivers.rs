//! Receivers that are away, slow, hostile or inside.

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::time::Instant;

use super::{
    receiver::{BROKEN, OK, Receiver},
    *,
};

/// A message in the outbox for this receiver, and who sends it.
async fn told(database: &TestStore, url: &str, courier: Courier) -> (Teller, i64, DateTime<Utc>) {
    wants(database, &person("ada"), url, "finished").await;
    let job = ids(&database.submit(&single(1)).await)[0];
    end(database, job, JobEvent::Succeeded, "").await;
    let (teller, term) = leading(database, courier).await;
    let now = clock(database).await;
    gather::happened(&database.store, term, now).await.unwrap();
    assert_eq!(database.count("tells"), 1);
    (teller, term, now)
}

fn courier() -> Courier {
    Courier::new(&options(), 7077).unwrap()
}

/// State, tries and the last error of the only message.
fn only(database: &TestStore) -> (String, i32, String) {
    database.rows("SELECT state, tries, last_error FROM tells").remove(0)
}

#[tokio::test]
async fn a_receiver_that_is_down_for_an_hour_is_told_once_later() {
    let database = TestStore::open().await;
    let receiver = Receiver::start(BROKEN).await;
    let (teller, term, began) = told(&database, &receiver.url(), courier()).await;
    let mut told_at = None;
    for minute in 0..180 {
        if minute == 60 {
            receiver.answers(OK);
        }
        let before = receiver.got().len();
        tries(&teller, term, began + minutes(minute)).await;
        if minute >= 60 && receiver.got().len() > before {
            assert_eq!(told_at.replace(minute), None, "told twice");
        }
    }
    let told_at = told_at.unwrap();
    assert!(told_at <= 115, "{told_at}");
    let got = receiver.got();
    assert!(got.len() < 9, "{} tries in an hour", got.len());
    let ids = got.iter().map(|request| request.lines().find(|line| line.starts_with("tandem-event: ")).unwrap());
    assert_eq!(ids.collect::<std::collections::HashSet<_>>().len(), 1, "by its id a receiver knows it again");
    assert_eq!(only(&database).0, "sent");
}

#[tokio::test]
async fn a_receiver_can_check_who_says_what_and_when() {
    let database = TestStore::open().await;
    let receiver = Receiver::start(OK).await;
    let (teller, term, now) = told(&database, &receiver.url(), courier()).await;
    assert_eq!(tries(&teller, term, now).await, 1);
    let got = receiver.got();
    let (head, body) = got[0].split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let prefix = format!("{name}: ");
        head.lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_else(|| panic!("{name} in {head}"))
            .to_owned()
    };
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    assert_eq!(header("host"), format!("127.0.0.1:{}", receiver.port));
    assert_eq!(header("content-type"), "application/json");
    let secret = database.text("SELECT secret FROM notify_targets");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{}.{body}", now.timestamp()).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("tandem-signature"), format!("t={},v1={hex}", now.timestamp()));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(header("tandem-event"), body["id"].as_str().unwrap());
    assert_eq!((&body["event"], &body["person"]), (&"finished".into(), &"ada".into()));
    assert_eq!((&body["experiment"]["name"], &body["experiment"]["succeeded"]), (&"single".into(), &1.into()));
}

#[tokio::test]
async fn what_a_receiver_answers_decides_whether_it_is_tried_again() {
    for (answer, state, why) in [
        ("HTTP/1.1 410 Gone\r\n\r\n", "given up", "410"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "pending", "404"),
        ("HTTP/1.1 429 Slow\r\nretry-after: 1\r\n\r\n", "pending", "429"),
        ("SSH-2.0-OpenSSH_9\r\n", "pending", "nothing that is HTTP"),
    ] {
        let database = TestStore::open().await;
        let receiver = Receiver::start(Some(answer)).await;
        let (teller, term, now) = told(&database, &receiver.url(), courier()).await;
        tries(&teller, term, now).await;
        let (is, tries, error) = only(&database);
        assert_eq!((is.as_str(), tries), (state, 1), "{answer}: {error}");
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere() {
    let database = TestStore::open().await;
    let inside = Receiver::start(OK).await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", inside.url());
    let receiver = Receiver::start(Some(answer.leak())).await;
    let (teller, term, now) = told(&database, &receiver.url(), courier()).await;
    tries(&teller, term, now).await;
    assert_eq!((receiver.got().len(), inside.got().len()), (1, 0));
    let (state, _, error) = only(&database);
    assert!(state == "pending" && error.contains("no redirect is followed"), "{state}: {error}");
}

#[tokio::test]
async fn a_receiver_that_hangs_or_never_ends_its_answer_is_given_up_in_time() {
    for answer in [None, Some("HTTP/1.1 200 OK\r\nx-endless: ")] {
        let database = TestStore::open().await;
        let receiver = Receiver::start(answer).await;
        let quick = courier().with_limit(Duration::from_millis(300));
        let (teller, term, now) = told(&database, &receiver.url(), quick).await;
        let began = Instant::now();
        tries(&teller, term, now).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let (state, _, error) = only(&database);
        assert_eq!(state, "pending", "{error}");
        assert!(receiver.got().len() == 1, "{error}");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read_for_ever() {
    let database = TestStore::open().await;
    let flood = format!("HTTP/1.1 200 OK\r\n{}", "x-more: 0123456789\r\n".repeat(10_000));
    let receiver = Receiver::start(Some(flood.leak())).await;
    let (teller, term, now) = told(&database, &receiver.url(), courier()).await;
    tries(&teller, term, now).await;
    let (state, _, error) = only(&database);
    assert!(state == "pending" && error.contains("nothing that is HTTP"), "{state}: {error}");
}

#[tokio::test]
async fn what_leads_inside_is_not_connected_to_whatever_was_allowed_when_it_was_added() {
    let database = TestStore::open().await;
    let receiver = Receiver::start(OK).await;
    let strict = || Courier::new(&TellingArgs::default(), 7077).unwrap();
    let (teller, term, now) = told(&database, &receiver.url(), strict()).await;
    tries(&teller, term, now).await;
    // By a name that is looked up at each try.
    database.execute(&format!(
        "UPDATE notify_targets SET address = 'http://localhost:{}/'; UPDATE tells SET next_try = now() - interval '1 h'",
        receiver.port
    ));
    tries(&teller, term, now).await;
    let (state, tried, error) = only(&database);
    assert!(state == "pending" && tried == 2, "{state} {tried}");
    assert!(error.contains("refused to send to localhost") && error.contains("--allow-webhooks-to"), "{error}");
    assert_eq!(receiver.got().len(), 0);
}

#[tokio::test]
async fn a_change_of_leader_in_between_sends_it_once() {
    let database = TestStore::open().await;
    let receiver = Receiver::start(OK).await;
    let (first, before, now) = told(&database, &receiver.url(), courier()).await;
    let claimed = first.claim(before, now, 16).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let (second, after) = leading(&database, courier()).await;
    assert_eq!(tries(&second, after, now + TimeDelta::seconds(30)).await, 0, "the first may still be at it");
    assert_eq!(tries(&first, before, now).await, 0, "its term is over");
    // The first comes back, and its answer counts.
    let tried = first.courier.carry(&claimed[0]).await;
    let next = retry::after(1, now, tried);
    let mut conn = database.store.conn().await.unwrap();
    assert!(tells::settle(&mut conn, &claimed[0], now, &next).await.unwrap());
    drop(conn);
    assert_eq!(tries(&second, after, now + minutes(600)).await, 0);
    assert_eq!(receiver.got().len(), 1);

    // One that died in between is taken over; what it says then changes nothing.
    database.execute("UPDATE tells SET state = 'pending', ended_at = NULL, tries = 0, next_try = now()");
    let lost = second.claim(after, clock(&database).await, 16).await.unwrap();
    let (third, term) = leading(&database, courier()).await;
    assert_eq!(tries(&third, term, clock(&database).await + minutes(2)).await, 1);
    let mut conn = database.store.conn().await.unwrap();
    assert!(!tells::settle(&mut conn, &lost[0], now, &retry::Next::Sent).await.unwrap());
}

#[tokio::test]
async fn who_does_not_answer_is_asked_by_one_message_at_a_time_and_holds_up_nobody_else() {
    let database = TestStore::open().await;
    let (down, up) = (Receiver::start(BROKEN).await, Receiver::start(OK).await);
    for receiver in [&down, &up] {
        wants(&database, &person("ada"), &receiver.url(), "finished").await;
    }
    for seed in 0..5 {
        let job = ids(&database.submit(&single(seed)).await)[0];
        end(&database, job, JobEvent::Succeeded, "").await;
    }
    let (teller, term) = leading(&database, courier()).await;
    let now = clock(&database).await;
    gather::happened(&database.store, term, now).await.unwrap();
    for _ in 0..10 {
        tries(&teller, term, now).await;
    }
    assert_eq!((up.got().len(), down.got().len()), (5, 1));
    down.answers(OK);
    for _ in 0..10 {
        tries(&teller, term, now + minutes(2)).await;
    }
    assert_eq!(down.got().len(), 1 + 5);
    assert_eq!(database.text("SELECT DISTINCT state FROM tells"), "sent");
}

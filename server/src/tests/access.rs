use std::{net::SocketAddr, time::Duration};

use tandem_domain::access::{Denial, Identity, PersonRole, TokenRole, token::Token};

use super::*;
use crate::{
    access::Gate,
    admin_line::admin_line,
    audit_drop::audit_drop,
    cancel::cancel,
    error::Error,
    listen::peer::Peer,
    people::{Change, Wanted, list_tokens, new_token, revoke_token, set_person},
    store::{audit, tokens},
};

fn far() -> Peer {
    Peer::Tcp { address: SocketAddr::from(([10, 0, 0, 1], 4000)) }
}

fn wanted(role: &str, person: &str) -> Wanted {
    Wanted { name: "laptop".to_owned(), role: role.to_owned(), person: person.to_owned(), expires_in: None }
}

async fn add(database: &TestStore, name: &str, role: &str) {
    let change = Change { name: name.to_owned(), create: true, role: Some(role.to_owned()), ..Change::default() };
    set_person(&database.store, &person("root"), &change).await.unwrap();
}

async fn made(database: &TestStore, role: &str, person_name: &str) -> Token {
    new_token(&database.store, &person("root"), &wanted(role, person_name)).await.unwrap().0
}

async fn identify(gate: &Gate, token: &Token) -> Result<Identity, Denial> {
    gate.identify(far(), Some(format!("Bearer {}", token.reveal()).as_bytes())).await.map(|(identity, _)| identity)
}

#[tokio::test]
async fn a_token_is_good_from_when_it_is_made_until_it_is_revoked_on_every_coordinator() {
    let database = TestStore::open().await;
    let gates = [(); 2].map(|()| Gate::open(database.store.clone(), None));
    let [here, there] = futures::future::join_all(gates).await.try_into().ok().unwrap();
    let (here, there) = (here.unwrap(), there.unwrap());
    add(&database, "ann", "submitter").await;
    let token = made(&database, "", "ann").await;
    for gate in [&here, &there] {
        // Nobody told them: it is looked for.
        let Ok(Identity::Person(ann)) = identify(gate, &token).await else { panic!("not taken") };
        assert_eq!((ann.name.as_str(), ann.role), ("ann", PersonRole::Submitter));
    }
    revoke_token(&database.store, &person("ann"), token.id().as_str()).await.unwrap();
    for gate in [&here, &there] {
        gate.refresh().await.unwrap();
        assert_eq!(identify(gate, &token).await, Err(Denial::Revoked(token.id())));
    }
}

#[tokio::test]
async fn a_token_is_bad_once_it_has_expired_or_its_person_was_disabled() {
    let database = TestStore::open().await;
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    add(&database, "ann", "admin").await;
    let short = Wanted { expires_in: Some(Duration::from_secs(3600)), ..wanted("reader", "ann") };
    let (short, _) = new_token(&database.store, &person("root"), &short).await.unwrap();
    let long = made(&database, "", "ann").await;
    let Ok(Identity::Person(ann)) = identify(&gate, &short).await else { panic!("not taken") };
    assert_eq!(ann.role, PersonRole::Reader, "no more than the token allows");
    // By the database's clock, whatever this machine thinks that it is.
    database
        .execute("UPDATE tokens SET expires_at = clock_timestamp() - interval '1 second' WHERE expires_at IS NOT NULL");
    gate.refresh().await.unwrap();
    assert_eq!(identify(&gate, &short).await, Err(Denial::Expired(short.id())));
    assert!(identify(&gate, &long).await.is_ok());
    let disable = Change { name: "ann".to_owned(), disabled: Some(true), ..Change::default() };
    set_person(&database.store, &person("root"), &disable).await.unwrap();
    gate.refresh().await.unwrap();
    assert_eq!(identify(&gate, &long).await, Err(Denial::Disabled("ann".to_owned())));
}

#[tokio::test]
async fn wrong_tokens_are_bounded_and_never_hold_up_the_right_one() {
    let database = TestStore::open().await;
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    add(&database, "ann", "submitter").await;
    let good = made(&database, "", "ann").await;
    let mut random = [9; tandem_domain::access::token::RANDOM_BYTES];
    let mut last = Ok(Identity::Nobody);
    for number in 0..300u16 {
        random[..2].copy_from_slice(&number.to_be_bytes());
        last = identify(&gate, &Token::new(TokenRole::Worker, &random)).await;
        assert!(last.is_err());
        assert!(identify(&gate, &good).await.is_ok(), "after {number} wrong ones");
    }
    assert_eq!(last, Err(Denial::TooMany("10.0.0.1".to_owned())));
    assert_eq!(gate.identify(far(), None).await.map(|(who, _)| who), Ok(Identity::Nobody));
}

#[tokio::test]
async fn a_damaged_row_opens_nothing_and_harms_no_other() {
    let database = TestStore::open().await;
    add(&database, "ann", "submitter").await;
    let (one, two) = (made(&database, "", "ann").await, made(&database, "worker", "").await);
    database.execute(&format!("UPDATE tokens SET hash = decode(repeat('00', 32), 'hex') WHERE id = '{}'", one.id()));
    database.execute("ALTER TABLE tokens DROP CONSTRAINT tokens_of_a_person_or_of_none");
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    assert_eq!(identify(&gate, &one).await, Err(Denial::Unknown));
    assert_eq!(identify(&gate, &two).await, Ok(Identity::Worker(two.id())));
    // A person's token without its person.
    database.execute("UPDATE tokens SET person = NULL");
    gate.refresh().await.unwrap();
    assert_eq!(identify(&gate, &one).await, Err(Denial::Unknown));
    database.execute("DELETE FROM access_version; UPDATE tokens SET revoked_at = now()");
    gate.refresh().await.unwrap();
    assert_eq!(identify(&gate, &two).await, Err(Denial::Revoked(two.id())), "without a version all is read");
    database.execute("UPDATE tokens SET revoked_at = NULL");
    gate.refresh().await.unwrap();
    database.execute("ALTER TABLE access_version RENAME TO gone");
    assert!(gate.refresh().await.is_err());
    assert_eq!(identify(&gate, &two).await, Ok(Identity::Worker(two.id())), "what was known goes on to hold");
}

#[tokio::test]
async fn nobody_makes_a_token_that_allows_more_than_he_may() {
    let database = TestStore::open().await;
    add(&database, "ann", "submitter").await;
    add(&database, "bob", "reader").await;
    let ann = person("ann");
    let make = async |by: &Person, role: &str, who: &str| {
        new_token(&database.store, by, &wanted(role, who)).await.map(|(_, row)| row.role)
    };
    assert_eq!(make(&ann, "", "").await.unwrap(), "submitter");
    assert_eq!(make(&ann, "reader", "ann").await.unwrap(), "reader");
    for (role, who) in [("admin", ""), ("worker", ""), ("scrape", ""), ("", "bob")] {
        assert!(matches!(make(&ann, role, who).await, Err(Error::Forbidden(_))), "{role} {who}");
    }
    assert!(matches!(make(&person("root"), "submitter", "bob").await, Err(Error::Forbidden(_))));
    assert!(matches!(make(&person("root"), "worker", "bob").await, Err(Error::Invalid(_))));
    assert!(matches!(make(&person("root"), "king", "bob").await, Err(Error::Invalid(_))));
    // A token that only reads makes none that submits.
    let by_reading_token = Person { role: PersonRole::Reader, ..person("ann") };
    assert!(matches!(make(&by_reading_token, "submitter", "").await, Err(Error::Forbidden(_))));
    assert_eq!(make(&by_reading_token, "", "").await.unwrap(), "reader");

    let of_ann = list_tokens(&database.store, &ann, false).await.unwrap();
    assert_eq!(of_ann.len(), 3);
    assert!(matches!(list_tokens(&database.store, &ann, true).await, Err(Error::Forbidden(_))));
    let bobs = made(&database, "", "bob").await;
    let others = revoke_token(&database.store, &ann, bobs.id().as_str()).await;
    assert!(matches!(others, Err(Error::NotFound(_))), "that there is one is nobody else's business");
    assert_eq!(revoke_token(&database.store, &ann, &of_ann[0].id).await.unwrap().state, "revoked");
}

#[tokio::test]
async fn an_account_that_is_linked_brings_what_it_submitted_along() {
    let database = TestStore::open().await;
    let submission = Submission { by: person("login:ann"), ..submission(&single(1)) };
    submit(&database.store, &submission).await.unwrap();
    for name in ["ann", "bob"] {
        add(&database, name, "submitter").await;
    }
    let link =
        |name: &str, login: &str| Change { name: name.to_owned(), login: Some(login.to_owned()), ..Change::default() };
    let root = person("root");
    let (row, _) = set_person(&database.store, &root, &link("ann", "ann")).await.unwrap();
    assert_eq!(row.login.as_deref(), Some("ann"));
    assert_eq!(database.text("SELECT owner FROM experiments"), "ann");
    let taken = set_person(&database.store, &root, &link("bob", "ann")).await;
    assert!(matches!(taken, Err(Error::Conflict(_))));
    let (row, _) = set_person(&database.store, &root, &link("ann", "")).await.unwrap();
    assert_eq!(row.login, None);
    let unknown = set_person(&database.store, &root, &link("eve", "eve")).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));
    let again = Change { name: "ann".to_owned(), create: true, role: Some("reader".to_owned()), ..Change::default() };
    assert!(matches!(set_person(&database.store, &root, &again).await, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn an_admins_line_is_exchanged_once() {
    use std::os::unix::fs::PermissionsExt;
    let database = TestStore::open().await;
    let out = database.folder.path().join("line");
    admin_line(&database.store, &out).await.unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let line = Token::parse(text.trim()).unwrap();
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    let Ok(Identity::Person(admin)) = identify(&gate, &line).await else { panic!("not taken") };
    assert!(admin.once && admin.is_admin() && admin.name == "admin");
    let (own, row) = new_token(&database.store, &admin, &wanted("", "")).await.unwrap();
    assert_eq!((row.role.as_str(), row.person.as_deref()), ("admin", Some("admin")));
    let again = new_token(&database.store, &admin, &wanted("", "")).await;
    assert!(matches!(again, Err(Error::Forbidden(_))), "{again:?}");
    gate.refresh().await.unwrap();
    assert_eq!(identify(&gate, &line).await, Err(Denial::Revoked(line.id())));
    assert!(matches!(identify(&gate, &own).await, Ok(Identity::Person(Person { once: false, .. }))));
    // What stands there is replaced: the old line is of no use to anybody.
    admin_line(&database.store, &out).await.unwrap();
    // Whoever owns the database gets in, whatever was done to that person.
    database.execute("UPDATE people SET role = 'reader', disabled_at = now()");
    admin_line(&database.store, &out).await.unwrap();
    assert_eq!(database.text("SELECT role::text FROM people WHERE disabled_at IS NULL"), "admin");
}

#[tokio::test]
async fn a_workers_token_is_that_of_the_worker_that_used_it_first() {
    let database = TestStore::open().await;
    let token = made(&database, "worker", "").await;
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    for worker in [first, second, first] {
        let bound = tokens::bind(&mut database.store.conn().await.unwrap(), &token.id(), worker).await.unwrap();
        assert_eq!(bound, Some(first));
    }
}

#[tokio::test]
async fn every_change_stands_in_the_audit_which_is_only_added_to() {
    let database = TestStore::open().await;
    add(&database, "ann", "submitter").await;
    let token = made(&database, "", "ann").await;
    let submitted = submit(&database.store, &Submission { by: person("ann"), ..submission(&single(1)) }).await.unwrap();
    cancel(&database.store, &ids(&submitted)[0].to_string(), &person("ann")).await.unwrap();
    revoke_token(&database.store, &person("root"), token.id().as_str()).await.unwrap();
    let rows: Vec<(String, String, String, String)> =
        database.rows("SELECT who, what, whose, outcome FROM audit ORDER BY at");
    let expected = [
        ("root", "People/SetPerson", "ann"),
        ("root", "People/NewToken", "ann"),
        ("ann", "Jobs/Submit", "ann"),
        ("ann", "Jobs/Cancel", "ann"),
        ("root", "People/RevokeToken", "ann"),
    ];
    let expected = expected.map(|(who, what, whose)| (who.into(), what.into(), whose.into(), "done".into()));
    assert_eq!(rows, expected);
    let job = ids(&submitted)[0];
    let question = audit::Question { job: Some(job), limit: 10, ..Default::default() };
    let of_job = audit::list(&mut database.store.conn().await.unwrap(), &question).await.unwrap();
    assert_eq!(of_job.len(), 1);

    let mut conn = database.store.conn().await.unwrap();
    let role: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(role, "tandem_runtime");
    for statement in [
        "UPDATE audit SET who = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DROP TABLE audit",
        "DELETE FROM audit_default",
        "DELETE FROM _sqlx_migrations",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE jobs ADD COLUMN mine int",
    ] {
        let refused = sqlx::raw_sql(statement).fetch_optional(&mut *conn).await.map(drop).unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    database.execute("CREATE TABLE audit_2020_01 PARTITION OF audit FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')");
    let (old, future) = ("2026-01-01".parse().unwrap(), "2999-01-01".parse().unwrap());
    assert_eq!(audit_drop(&database.store, old).await.unwrap(), 1);
    assert!(matches!(audit_drop(&database.store, future).await, Err(Error::Invalid(_))));
    assert_eq!(database.count("audit WHERE what = 'audit-drop'"), 1, "the drop itself is a row");
    // Not even its owner, but by dropping a month.
    let owner =
        sqlx::raw_sql("SET ROLE NONE; DELETE FROM audit").fetch_optional(&mut *conn).await.map(drop).unwrap_err();
    assert!(owner.to_string().contains("only added to"), "{owner}");
}

#[tokio::test]
async fn what_a_token_made_for_its_own_person_ends_with_it() {
    let database = TestStore::open().await;
    add(&database, "ann", "submitter").await;
    let short = Wanted { expires_in: Some(Duration::from_secs(3600)), ..wanted("", "ann") };
    let (first, _) = new_token(&database.store, &person("root"), &short).await.unwrap();
    let by_first = Person { token: Some(first.id()), ..person("ann") };
    let (second, row) = new_token(&database.store, &by_first, &wanted("", "")).await.unwrap();
    assert!(row.expires_at.is_some(), "no longer than the one that it was made with");
    let by_second = Person { token: Some(second.id()), ..person("ann") };
    let (third, _) = new_token(&database.store, &by_second, &wanted("", "")).await.unwrap();
    let other = made(&database, "", "ann").await;
    revoke_token(&database.store, &person("root"), first.id().as_str()).await.unwrap();
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    for token in [&first, &second, &third] {
        assert_eq!(identify(&gate, token).await, Err(Denial::Revoked(token.id())));
    }
    assert!(identify(&gate, &other).await.is_ok());
}

#[tokio::test]
async fn the_account_of_the_house_stays_its_admin_whoever_it_is_linked_to() {
    let database = TestStore::open().await;
    add(&database, "zed", "reader").await;
    let own = nix::unistd::geteuid();
    let account = nix::unistd::User::from_uid(own).unwrap().map_or_else(|| own.to_string(), |user| user.name);
    let change = Change { name: "zed".to_owned(), login: Some(account), disabled: Some(true), ..Change::default() };
    set_person(&database.store, &person("root"), &change).await.unwrap();
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    let socket = Peer::Socket { uid: own.as_raw(), pid: None };
    let Ok((Identity::Person(house), _)) = gate.identify(socket, None).await else { panic!("the house is shut out") };
    assert!(house.is_admin());
}

#[tokio::test]
async fn refusals_are_noted_and_a_flood_of_them_is_counted() {
    let database = TestStore::open().await;
    let gate = Gate::open(database.store.clone(), None).await.unwrap();
    for _ in 0..1000 {
        gate.note(far(), "nobody", "/tandem.v1.Fleet/Status", &Denial::NoToken);
    }
    gate.store_refusals().await;
    let noted: i64 = database.value("SELECT count(*) FROM audit WHERE outcome LIKE 'refused: %'");
    assert!((1..100).contains(&noted), "{noted}");
    assert_eq!(database.count("audit WHERE outcome LIKE '%more refusals%'"), 1);
}

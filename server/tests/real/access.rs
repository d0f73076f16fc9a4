//! Who may do what, over the port: every method, every role, every kind of token.

use std::time::{Duration, Instant};

use prost::Message as _;
use tandem_domain::access::{
    PersonRole, TokenRole,
    rules::{Least, Object, RULES, rule_of},
    token::{RANDOM_BYTES, Token},
};
use tandem_harness::TestDatabase;
use tandem_proto::v1::{self, DESCRIPTOR_SET, fleet_client::FleetClient, jobs_client::JobsClient};
use tokio::time::timeout;
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use uuid::Uuid;

use crate::{
    LIMIT,
    fake_worker::FakeWorker,
    server::{Server, submit},
};

const ONE_JOB: &str = "name = \"one\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\nencoder = \
                       \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = 1\n";

fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// The methods of ours, as in the path of a request.
fn methods() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let ours = services.filter(|(package, _)| package.starts_with("tandem"));
    ours.flat_map(|(package, service)| {
        service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
    })
    .collect()
}

/// Calls a method with an empty message: the code of its refusal, `Ok` if it answers.
async fn call(channel: &Channel, method: &str, token: Option<&str>) -> (Code, String) {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let request = match token {
        Some(token) => with(futures::stream::iter([()]), token),
        None => Request::new(futures::stream::iter([()])),
    };
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let answered = async {
        let mut answers = grpc.streaming(request, method.parse().unwrap(), codec).await?.into_inner();
        answers.message().await.map(drop)
    };
    match timeout(LIMIT, answered).await.unwrap() {
        Ok(()) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

async fn add(server: &Server, name: &str, role: &str) {
    let request =
        v1::SetPersonRequest { name: name.into(), create: true, role: Some(role.into()), ..Default::default() };
    server.people().await.set_person(request).await.unwrap();
}

#[tokio::test]
async fn every_method_answers_those_who_may_call_it_and_nobody_else() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    for (name, role) in [("reader", "reader"), ("submitter", "submitter"), ("admin", "admin"), ("gone", "admin")] {
        add(&server, name, role).await;
    }
    let good = [
        (server.token("", "reader").await, TokenRole::Person(PersonRole::Reader)),
        (server.token("", "submitter").await, TokenRole::Person(PersonRole::Submitter)),
        (server.token("", "admin").await, TokenRole::Person(PersonRole::Admin)),
        (server.token("reader", "admin").await, TokenRole::Person(PersonRole::Reader)),
        (server.token("worker", "").await, TokenRole::Worker),
        (server.token("scrape", "").await, TokenRole::Scrape),
    ];
    let (revoked, expired) = (server.token("", "admin").await, server.token("", "admin").await);
    let disabled = server.token("", "gone").await;
    let id = |made: &v1::NewTokenResponse| made.token.as_ref().unwrap().id.clone();
    let mut people = server.people().await;
    people.revoke_token(v1::RevokeTokenRequest { id: id(&revoked) }).await.unwrap();
    let disable = v1::SetPersonRequest { name: "gone".into(), disabled: Some(true), ..Default::default() };
    people.set_person(disable).await.unwrap();
    database.execute(&format!("UPDATE tokens SET expires_at = now() - interval '1 day' WHERE id = '{}'", id(&expired)));
    let admins = good[2].0.secret.clone();
    let foreign = Token::new(TokenRole::Person(PersonRole::Admin), &[7; RANDOM_BYTES]).reveal().to_owned();
    // The id of a good one with another secret, and a right checksum.
    let guessed = {
        let other = Token::new(TokenRole::Person(PersonRole::Admin), &[0; RANDOM_BYTES]).reveal().to_owned();
        format!("{}{}", &admins[..13], &other[13..])
    };
    let bad = [
        ("none", None, "needs a token"),
        ("empty", Some(String::new()), "is none"),
        ("a password", Some("s3cret".to_owned()), "does not begin as a token"),
        ("cut", Some(admins[..40].to_owned()), "it was cut"),
        ("mistyped", Some(guessed), "checksum"),
        ("of another house", Some(foreign), "not known here"),
        ("revoked", Some(revoked.secret), "was revoked"),
        ("of a disabled person", Some(disabled.secret), "was disabled"),
        ("expired", Some(expired.secret), "has expired"),
    ];
    let far = server.far().await;
    let methods = methods();
    assert_eq!(methods.len(), RULES.iter().filter(|rule| rule.method.starts_with("/tandem")).count());
    // A change that somebody else made of the table is heard of.
    tandem_harness::until_async("the token has expired", LIMIT, async || {
        (call(&far, "/tandem.v1.Fleet/Status", bad[8].1.as_deref()).await.0 == Code::Unauthenticated).then_some(())
    })
    .await;
    for method in &methods {
        let rule = rule_of(method).unwrap();
        for (kind, token, words) in &bad {
            // So many wrong ones that some are not even looked at.
            let (code, said) = tandem_harness::until_async("it is looked at", LIMIT, async || {
                Some(call(&far, method, token.as_deref()).await).filter(|(code, _)| *code != Code::ResourceExhausted)
            })
            .await;
            assert_eq!(code, Code::Unauthenticated, "{method}, {kind}: {said}");
            assert!(said.contains(words), "{method}, {kind}: {said}");
            assert!(!token.as_ref().is_some_and(|token| token.len() > 20 && said.contains(token.as_str())), "{said}");
        }
        for (token, role) in &good {
            let may = match (rule.least, role) {
                (Least::Anybody, _) => true,
                (Least::Person(least), TokenRole::Person(role)) => *role >= least,
                (Least::Worker, role) => *role == TokenRole::Worker,
                (Least::Scrape, role) => *role != TokenRole::Worker,
                (Least::Person(_), _) => false,
            };
            let (code, said) = call(&far, method, Some(&token.secret)).await;
            let refused = matches!(code, Code::Unauthenticated | Code::PermissionDenied);
            assert_eq!(refused, !may, "{method} by {role}: {code:?} {said}");
            if !may {
                assert_eq!(code, Code::PermissionDenied, "{method} by {role}: {said}");
            }
        }
    }
    assert!(RULES.iter().any(|rule| rule.object == Object::OwnWorker));
    let (code, _) = call(&far, "/grpc.health.v1.Health/Check", None).await;
    assert_eq!(code, Code::Ok, "health answers to everybody");
    let (code, _) = call(&far, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", None).await;
    assert_eq!(code, Code::Unauthenticated);
    let (code, _) = call(&far, "/tandem.v1.Jobs/Nothing", None).await;
    assert_eq!(code, Code::Unimplemented);
    server.stop().await;
}

#[tokio::test]
async fn what_a_person_submits_is_that_persons_and_others_leave_it_alone() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    for name in ["ann", "bob"] {
        add(&server, name, "submitter").await;
    }
    let (ann, bob) = (server.token("", "ann").await.secret, server.token("", "bob").await.secret);
    let mut jobs = JobsClient::new(server.far().await);
    let submitted = jobs.submit(with(submit(ONE_JOB), &ann)).await.unwrap().into_inner();
    let job = submitted.jobs[0].job_id.clone();
    let listed = jobs.list(with(v1::ListRequest::default(), &bob)).await.unwrap().into_inner().jobs;
    assert_eq!(listed.iter().map(|job| job.owner.as_str()).collect::<Vec<_>>(), ["ann"]);
    for target in ["one", "ann/one", &job, &submitted.experiment_id] {
        let refused = jobs.cancel(with(v1::CancelRequest { target: target.to_owned() }, &bob)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{target}: {refused}");
        assert!(refused.message().contains("is ann's, not yours"), "{refused}");
    }
    // One key, two people: nobody gets at another's experiment by it.
    let keyed = v1::SubmitRequest { idempotency_key: "k".to_owned(), ..submit(ONE_JOB) };
    jobs.submit(with(keyed.clone(), &ann)).await.unwrap();
    let refused = jobs.submit(with(keyed, &bob)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    let cancelled = jobs.cancel(with(v1::CancelRequest { target: "one".to_owned() }, &ann)).await.unwrap().into_inner();
    assert_eq!(cancelled.cancelled.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_within_a_second_when_its_token_is_revoked_by_another_coordinator() {
    let database = TestDatabase::create();
    let (here, there) = (Server::start(&database).await, Server::start(&database).await);
    add(&here, "ann", "submitter").await;
    let token = here.token("", "ann").await;
    here.jobs().await.submit(submit(ONE_JOB)).await.unwrap();
    let mut jobs = JobsClient::new(there.far().await);
    let watch = with(v1::WatchRequest { target: "one".to_owned() }, &token.secret);
    let mut watching = jobs.watch(watch).await.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some(), "it is open");
    let id = token.token.unwrap().id;
    here.people().await.revoke_token(v1::RevokeTokenRequest { id: id.clone() }).await.unwrap();
    let revoked = Instant::now();
    let ended: Status = loop {
        match timeout(LIMIT, watching.message()).await.expect("it does not end") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a reason"),
            Err(status) => break status,
        }
    };
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(ended.message().contains(&format!("the token {id} was revoked")), "{ended}");
    // Of another token nothing ends.
    assert!(FleetClient::new(there.channel().await).status(v1::StatusRequest {}).await.is_ok());
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn a_worker_speaks_for_itself_alone_and_only_as_long_as_its_token_is_good() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = server.token("worker", "").await;
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let mut worker = FakeWorker::connect_with(&server, &token.secret, "left", id, Vec::new()).await.unwrap();
    let refused = FakeWorker::connect_with(&server, &token.secret, "right", other, Vec::new()).await;
    let refused = refused.err().expect("it is the other's");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("is another worker's"), "{refused}");
    // Nor does a token that nobody has used take the place of a worker that has one.
    let unused = server.token("worker", "").await;
    let refused = FakeWorker::connect_with(&server, &unused.secret, "left", id, Vec::new()).await.err();
    let refused = refused.expect("the worker has a token");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("has another good token"), "{refused}");
    let revoke = v1::RevokeTokenRequest { id: token.token.unwrap().id };
    server.people().await.revoke_token(revoke).await.unwrap();
    let ended = timeout(LIMIT, worker.end()).await.expect("it does not end");
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended}");
    // From then on another one does: so it is rotated.
    FakeWorker::connect_with(&server, &unused.secret, "left", id, Vec::new()).await.unwrap();
    server.stop().await;
}

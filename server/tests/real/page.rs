//! The page, as a browser is served it.

use std::time::Duration;

use tandem_harness::{TestDatabase, until_async};
use tandem_proto::v1;
use uuid::Uuid;

use crate::{
    LIMIT,
    browser::{Browser, Seen},
    fake_worker::{FakeWorker, event},
    server::{Server, submit},
};

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}gnp.exe\u{1b}[2J";
const PAGES: [&str; 5] = ["/", "/queue", "/experiments", "/results", "/people"];

pub(crate) fn experiment(name: &str, seed: u32) -> String {
    let name = toml_text(name);
    format!(
        "name = {name}\ndataset = \"shapes\"\nseed = {seed}\n[jobs.encoder]\nstage = \"contrastive\"\nencoder = \
         \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = 1\n[jobs.linear]\nstage = \"linear\"\nfrom = \"encoder\"\nworkers = 1\n"
    )
}

fn toml_text(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|char| if char.is_control() { format!("\\u{:04x}", char as u32) } else { char.to_string() })
        .collect();
    format!("\"{escaped}\"")
}

pub(crate) async fn add(server: &Server, name: &str, role: &str) -> v1::NewTokenResponse {
    let request =
        v1::SetPersonRequest { name: name.into(), create: true, role: Some(role.into()), ..Default::default() };
    server.people().await.set_person(request).await.unwrap();
    server.token("", name).await
}

pub(crate) async fn logged_in(server: &Server, token: &str) -> Browser {
    let mut browser = Browser::at(&server.address);
    let seen = browser.post("/login", &[("token", token)]).await;
    assert_eq!((seen.code, seen.header("location")), (303, "/"), "{seen:?}");
    browser
}

pub(crate) async fn submit_as(server: &Server, token: &str, toml: &str) -> v1::SubmitResponse {
    let mut jobs = v1::jobs_client::JobsClient::new(server.far().await);
    let mut request = tonic::Request::new(submit(toml));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    jobs.submit(request).await.unwrap().into_inner()
}

fn page(seen: &Seen) {
    assert_eq!(seen.code, 200, "{seen:?}");
    assert!(seen.header("content-type").starts_with("text/html"), "{seen:?}");
    assert_eq!(seen.header("cache-control"), "no-store");
    dressed(seen);
    for forbidden in ["<script>", " style=", " onclick=", "javascript:", "http://", "https://"] {
        let shown = seen.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!shown.contains(forbidden), "{forbidden} in {shown}");
    }
}

fn dressed(seen: &Seen) {
    let policy = seen.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{seen:?}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!((seen.header("x-content-type-options"), seen.header("referrer-policy")), ("nosniff", "same-origin"));
}

#[tokio::test]
async fn nobody_sees_anything_before_logging_in_and_a_token_logs_in_by_a_cookie_that_no_script_reads() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = add(&server, "ann", "submitter").await.secret;
    let mut browser = Browser::at(&server.address);
    for path in PAGES {
        let seen = browser.get(path).await;
        assert_eq!(seen.code, 303, "{seen:?}");
        assert!(seen.header("location").starts_with("/login"), "{seen:?}");
        dressed(&seen);
    }
    assert_eq!(browser.get("/jobs/7?a=b").await.header("location"), "/login?next=%2Fjobs%2F7%3Fa%3Db");
    // What no person looks at is told in a word.
    assert_eq!(browser.ask("GET", "/live?path=/", &[], "").await.code, 401);
    assert_eq!(browser.ask("POST", "/actions/cancel", &[], "").await.code, 401);
    // A link in a mail: the cookie comes along when the page loads itself again.
    let linked = [("accept", "text/html"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    let seen = browser.ask("GET", "/queue", &linked, "").await;
    assert!(seen.code == 200 && seen.body.contains("http-equiv=\"refresh\""), "{seen:?}");

    page(&browser.get("/login").await);
    let seen = browser.post("/login", &[("token", "tdm_nonsense")]).await;
    assert!(seen.code == 401 && seen.body.contains("what was sent as a token is none"), "{seen:?}");
    let scraper = server.token("scrape", "").await.secret;
    let seen = browser.post("/login", &[("token", &scraper)]).await;
    assert!(seen.code == 401 && seen.body.contains("a person&#39;s is needed"), "{seen:?}");
    assert!(browser.cookies.is_empty());

    let seen = browser.post("/login", &[("token", &token), ("next", "//evil.example")]).await;
    assert_eq!((seen.code, seen.header("location")), (303, "/"), "{seen:?}");
    let cookie = seen.header("set-cookie");
    for part in ["tandem_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains(&token) && database.count("web_sessions") == 1);
    for path in PAGES {
        let seen = browser.get(path).await;
        page(&seen);
        assert!(seen.body.contains("ann <small>submitter</small>"), "{}", seen.body);
    }
    assert_eq!(browser.get("/login").await.code, 303, "who is logged in is not asked again");
    // No method of gRPC takes it.
    let grpc = [("content-type", "application/grpc")];
    let seen = browser.ask("POST", "/tandem.v1.Jobs/List", &grpc, "").await;
    assert_eq!(seen.header("grpc-status"), "16", "{seen:?}");
    assert_eq!(browser.ask("POST", "/actions/cancel", &grpc, "").await.header("grpc-status"), "16");

    let seen = browser.post("/logout", &[]).await;
    assert_eq!((seen.code, seen.header("location")), (303, "/login"));
    assert!(browser.cookies.is_empty() && database.count("web_sessions") == 0);
    let audited = database.count("audit WHERE who = 'ann' AND what IN ('page/Login', 'page/Logout')");
    assert_eq!(audited, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_session_ends_with_its_token_within_a_second_and_a_stale_cookie_is_taken_back() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let made = add(&server, "ann", "submitter").await;
    let mut browser = logged_in(&server, &made.secret).await;
    let seen = browser.get("/").await;
    let mut live = browser.live(&seen).await;
    assert!(live.until(|text| text.contains("retry:")).await, "{}", live.text);
    assert!(live.text.contains("text/event-stream"), "{}", live.text);
    let id = made.token.unwrap().id;
    server.people().await.revoke_token(v1::RevokeTokenRequest { id }).await.unwrap();
    assert!(live.ends_within(Duration::from_secs(1)).await, "{}", live.text);
    let session = browser.cookies.clone();
    let seen = browser.get("/queue").await;
    assert_eq!((seen.code, seen.header("location")), (303, "/login?next=%2Fqueue"), "{seen:?}");
    assert!(browser.cookies.is_empty(), "{seen:?}");

    // The way in is open to who has a stale cookie.
    let other = server.token("", "ann").await;
    browser.cookies = session;
    page(&browser.get("/login").await);
    browser.cookies.insert("tandem_session".to_owned(), "x".repeat(43));
    assert_eq!(browser.post("/login", &[("token", &other.secret)]).await.code, 303);
    let seen = browser.get("/").await;
    page(&seen);
    let mut live = browser.live(&seen).await;
    assert!(live.until(|text| text.contains("retry:")).await);
    let disable = v1::SetPersonRequest { name: "ann".into(), disabled: Some(true), ..Default::default() };
    server.people().await.set_person(disable).await.unwrap();
    assert!(live.ends_within(Duration::from_secs(1)).await);
    let enable = v1::SetPersonRequest { name: "ann".into(), disabled: Some(false), ..Default::default() };
    server.people().await.set_person(enable).await.unwrap();

    // Who has another role sees another page.
    let root = add(&server, "root", "admin").await.secret;
    let mut admins = logged_in(&server, &root).await;
    let seen = admins.get("/people").await;
    assert!(seen.body.contains("Good tokens"), "{}", seen.body);
    let mut live = admins.live(&seen).await;
    assert!(live.until(|text| text.contains("retry:")).await);
    let lower = v1::SetPersonRequest { name: "root".into(), role: Some("reader".into()), ..Default::default() };
    server.people().await.set_person(lower).await.unwrap();
    assert!(live.ends_within(Duration::from_secs(1)).await);
    assert!(!admins.get("/people").await.body.contains("Good tokens"));

    // A coordinator that stops tells it as well.
    let seen = browser.get("/").await;
    page(&seen);
    let mut live = browser.live(&seen).await;
    assert!(live.until(|text| text.contains("retry:")).await);
    server.begin_stop();
    assert!(live.ends_within(Duration::from_secs(2)).await);
    server.stop().await;
}

#[tokio::test]
async fn a_code_logs_in_once() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    // By the socket: this account is the admin.
    let code = server.people().await.web_code(v1::WebCodeRequest {}).await.unwrap().into_inner();
    assert!(server.address.ends_with(code.address.split("//").nth(1).unwrap()), "{}", code.address);
    let used = async || {
        let request = v1::WebCodeStateRequest { id: code.id.clone() };
        server.people().await.web_code_state(request).await.unwrap().into_inner().used
    };
    assert!(!used().await);
    let mut browser = Browser::at(&server.address);
    let fields = [("code", code.code.as_str())];
    // Another site that has somehow seen it.
    let seen = browser.post_from(&[("origin", "http://evil.example")], "/login", &fields).await;
    assert_eq!((seen.code, used().await), (403, false), "{seen:?}");
    assert_eq!(browser.post_from(&[], "/login", &fields).await.code, 403);
    // A form of a file has no origin, and neither has one that another site hides: it begins nothing, and whoever looks is asked.
    let seen = browser.post_from(&[("origin", "null")], "/login", &fields).await;
    assert!(seen.code == 200 && seen.body.contains("Log in as ") && seen.body.contains(&code.code), "{seen:?}");
    assert!(!used().await && browser.cookies.is_empty(), "nobody is logged in unawares: {:?}", browser.cookies);
    let seen = browser.post_from(&[("origin", "null")], "/login", &[("code", &"x".repeat(43))]).await;
    assert_eq!(seen.code, 401, "{seen:?}");
    let seen = browser.post("/login", &fields).await;
    assert_eq!((seen.code, used().await), (303, true), "{seen:?}");
    let seen = browser.get("/people").await;
    page(&seen);
    assert!(seen.body.contains("<small>admin</small>"), "{}", seen.body);
    let seen = Browser::at(&server.address).post("/login", &fields).await;
    assert!(seen.code == 401 && seen.body.contains("used before"), "{seen:?}");

    let late = server.people().await.web_code(v1::WebCodeRequest {}).await.unwrap().into_inner();
    database.execute("UPDATE web_codes SET expires_at = now()");
    assert_eq!(Browser::at(&server.address).post("/login", &[("code", &late.code)]).await.code, 401);
    // Neither is stored.
    let stored: Vec<(String,)> = database.rows("SELECT web_codes::text || COALESCE((SELECT string_agg(web_sessions::text, '') FROM web_sessions), '') FROM web_codes");
    for secret in [&code.code, &late.code, browser.cookies.values().next().unwrap()] {
        assert!(stored.iter().all(|(row,)| !row.contains(secret.as_str())), "{stored:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_tokens_are_answered_a_while_and_the_right_one_always() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = add(&server, "ann", "reader").await.secret;
    let mut browser = Browser::at(&server.address);
    let mut codes = Vec::new();
    for _ in 0..230 {
        codes.push(browser.post("/login", &[("code", &"x".repeat(43))]).await.code);
    }
    assert!(codes[..150].iter().all(|code| *code == 401) && codes.contains(&429), "{codes:?}");
    assert_eq!(browser.post("/login", &[("token", &token)]).await.code, 303);
    server.stop().await;
}

#[tokio::test]
async fn a_form_is_taken_from_our_own_pages_and_may_what_its_person_may() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let (ann, bob) = (add(&server, "ann", "submitter").await.secret, add(&server, "bob", "submitter").await.secret);
    let eve = add(&server, "eve", "reader").await.secret;
    let submitted = submit_as(&server, &ann, &experiment("quick", 1)).await;
    let (job, path) = (&submitted.jobs[0].job_id, format!("/jobs/{}", submitted.jobs[0].job_id));
    let mut anns = logged_in(&server, &ann).await;
    let fields = [("target", job.as_str()), ("back", path.as_str())];
    for headers in
        [&[][..], &[("origin", "http://evil.example")], &[("origin", "null")], &[("origin", "http://127.0.0.1:1")]]
    {
        let seen = anns.post_from(headers, "/actions/cancel", &fields).await;
        assert_eq!(seen.code, 403, "{seen:?}");
        assert!(seen.body.contains("not sent by a page of this coordinator"), "{}", seen.body);
    }
    let seen = anns.ask("POST", "/actions/cancel", &[("origin", &anns.origin())], "target=x").await;
    assert_eq!(seen.code, 415, "{seen:?}");
    let mut others = logged_in(&server, &bob).await;
    let seen = others.post("/actions/cancel", &fields).await;
    assert!(seen.code == 403 && seen.body.contains("ann or an admin may cancel it"), "{seen:?}");
    assert!(!others.get(&path).await.body.contains("/actions/cancel"));
    let seen = logged_in(&server, &eve).await.post("/actions/cancel", &fields).await;
    assert!(seen.code == 403 && seen.body.contains("Cancel needs the role submitter"), "{seen:?}");
    let seen = anns.post("/actions/release", &[("target", "cpu-0")]).await;
    assert!(seen.code == 403 && seen.body.contains("needs the role admin"), "{seen:?}");
    assert_eq!(anns.post("/actions/erase", &fields).await.code, 404);
    assert_eq!(database.count("jobs WHERE state = 'cancelled'"), 0);

    assert!(anns.get(&path).await.body.contains("/actions/cancel"));
    let seen = anns.post("/actions/cancel", &fields).await;
    assert_eq!((seen.code, seen.header("location")), (303, path.as_str()), "{seen:?}");
    let seen = anns.get(&path).await;
    page(&seen);
    assert!(seen.body.contains("Cancelled 2 jobs.") && seen.body.contains("cancelled by ann"), "{}", seen.body);
    assert!(!anns.get(&path).await.body.contains("Cancelled 2 jobs."), "told once");
    until_async("the refusals are audited", LIMIT, async || {
        let count = database.count("audit WHERE what = 'Jobs/Cancel' AND outcome LIKE 'refused:%'");
        (count >= 5).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn texts_of_others_are_texts_on_every_page() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = add(&server, "ann", "admin").await.secret;
    let mut worker = FakeWorker::register(&server, "gpu-0", Uuid::new_v4(), Vec::new()).await;
    let submitted = submit_as(&server, &token, &experiment("quick", 1)).await;
    // An older version took any name; hosts and devices are called as they are.
    database.execute(&format!(
        "UPDATE workers SET name = $${HOSTILE}$$, host = $${HOSTILE}$$, device_name = $${HOSTILE}$$"
    ));
    // No name is refused in the database.
    for (table, column) in
        [("experiments", "name"), ("experiments", "file_name"), ("jobs", "name"), ("experiment_jobs", "name")]
    {
        database.execute(&format!("UPDATE {table} SET {column} = {column} || $${HOSTILE}$$"));
    }
    let assignment = worker.assignment().await;
    database.execute(&format!(
        "INSERT INTO metrics (job_id, fence, name, step, value, at) SELECT '{0}', 1, $${HOSTILE}$$ || n, s, n * s, now()
         FROM generate_series(1, 12) n, generate_series(1, 3) s;
         INSERT INTO logs (attempt_id, rank, sequence, at, line) VALUES ('{1}', 0, 1, now(), $${HOSTILE}$$);
         INSERT INTO received (attempt_id, rank, last_sequence) VALUES ('{1}', 0, 1) ON CONFLICT DO NOTHING;
         INSERT INTO events (job_id, kind, message) VALUES ('{0}', $${HOSTILE}$$, $${HOSTILE}$$);
         INSERT INTO results (job_id, fence, name, value, at, stage) VALUES ('{0}', 1, $${HOSTILE}$$, 1, now(), 'contrastive');
         INSERT INTO artifacts (id, job_id, fence, kind, name, uri, sha256, bytes, at, rank)
         VALUES (gen_random_uuid(), '{0}', 1, $${HOSTILE}$$, $${HOSTILE}$$, 'x', $${HOSTILE}$$, 1, now(), 0);
         UPDATE jobs SET reason = $${HOSTILE}$$ WHERE state <> 'running';",
        submitted.jobs[0].job_id, assignment.attempt_id
    ));
    let mut browser = logged_in(&server, &token).await;
    let experiment = format!("/experiments/{}", submitted.experiment_id);
    let job = format!("/jobs/{}", submitted.jobs[0].job_id);
    let hostile = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let chosen = format!("/experiments?name={hostile}&owner={hostile}");
    let sorted = format!("/results?target={hostile}&best={hostile}");
    let all = PAGES.into_iter().chain([experiment.as_str(), &job, &chosen, &sorted]);
    let mut shown = 0;
    for path in all {
        let seen = browser.get(path).await;
        page(&seen);
        assert!(!seen.body.contains('\u{202e}') && !seen.body.contains('\u{1b}'), "{path}: {}", seen.body);
        shown += seen.body.matches("script&#62;").count() + seen.body.matches("script&gt;").count();
        let mut live = browser.live(&seen).await;
        assert!(live.until(|text| text.contains("retry:")).await);
    }
    assert!(shown > 20, "{shown}");
    let seen = browser.get(&format!("/{hostile}")).await;
    assert!(seen.code == 404 && !seen.body.contains("<script>a"), "{seen:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_running_job_grows_a_curve_on_its_page_without_being_loaded_again() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = add(&server, "ann", "submitter").await.secret;
    let mut worker = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    let submitted = submit_as(&server, &token, &experiment("quick", 1)).await;
    let assignment = worker.assignment().await;
    let point = |step: u64| {
        let value = 10.0 / step as f64;
        v1::rank_event::Event::Metric(v1::MetricEvent { name: "loss".to_owned(), step, value })
    };
    worker.report(&assignment, vec![event(1, point(1)), event(2, point(2))]).await;
    let mut browser = logged_in(&server, &token).await;
    let path = format!("/jobs/{}", submitted.jobs[0].job_id);
    let seen = browser.get(&path).await;
    page(&seen);
    assert!(seen.body.contains("<figure") && seen.body.contains("<b>5.000</b>"), "{}", seen.body);
    let mut live = browser.live(&seen).await;
    assert!(live.until(|text| text.contains("retry:")).await);
    worker.report(&assignment, vec![event(3, point(4))]).await;
    assert!(live.until(|text| text.contains("<b>2.500</b>")).await);
    live.text.clear();
    worker.report(&assignment, vec![event(4, point(5))]).await;
    assert!(live.until(|text| text.contains("<b>2.000</b>")).await);
    assert!(
        live.text.contains("event: piece") && !live.text.contains("id=\"spec\""),
        "only what changed: {}",
        live.text
    );
    let seen = browser.post("/actions/cancel", &[("target", &submitted.jobs[0].job_id), ("back", &path)]).await;
    assert_eq!(seen.code, 303, "{seen:?}");
    assert!(live.until(|text| text.contains("cancelled by ann")).await);
    // What has ended keeps its curve.
    assert!(browser.get(&path).await.body.contains("<figure"));
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_says_so_in_its_form() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = add(&server, "ann", "reader").await.secret;
    let mut browser = logged_in(&server, &token).await;
    for path in [
        "/nothing",
        "/jobs/7",
        "/jobs/00000000-0000-0000-0000-000000000000",
        "/experiments/7",
        "/files/zz",
        "/assets/old.css",
    ] {
        let seen = browser.get(path).await;
        assert_eq!(seen.code, 404, "{path}: {seen:?}");
        dressed(&seen);
        let plain = browser.ask("GET", path, &[], "").await;
        assert!(plain.code == 404 && plain.header("content-type").starts_with("text/plain"), "{path}: {plain:?}");
        assert!(plain.body.contains("no ") || plain.body.contains("nothing"), "{path}: {plain:?}");
    }
    for (method, path) in
        [("POST", "/"), ("DELETE", "/jobs/7"), ("GET", "/actions/cancel"), ("GET", "/logout"), ("PUT", "/login")]
    {
        let seen = browser.ask(method, path, &[], "").await;
        let is_told = seen.body.contains(&format!("{method} is not for {path}"));
        assert!(seen.code == 405 && is_told || seen.code == 403, "{method} {path}: {seen:?}");
    }
    for path in ["/", "/login", "/nothing"] {
        let seen = browser.ask("HEAD", path, &[("accept", "text/html")], "").await;
        assert_eq!((seen.bytes, seen.code == 405), (0, false), "{path}: {seen:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_empty_house_is_five_requests_and_sixty_kilobytes_and_its_files_are_kept() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = add(&server, "ann", "reader").await.secret;
    let mut browser = logged_in(&server, &token).await;
    let seen = browser.get("/").await;
    let assets: Vec<String> = seen
        .body
        .split("/assets/")
        .skip(1)
        .map(|rest| format!("/assets/{}", rest.split('"').next().unwrap()))
        .collect();
    // With the page itself, and the stream of changes.
    assert_eq!(assets.len(), 3, "{assets:?}");
    let gzip = [("accept", "text/html"), ("accept-encoding", "gzip")];
    let page = browser.ask("GET", "/", &gzip, "").await;
    assert_eq!(page.header("content-encoding"), "gzip");
    let (mut plain, mut packed) = (seen.bytes, page.bytes);
    for path in &assets {
        let asset = browser.ask("GET", path, &[("accept-encoding", "gzip")], "").await;
        assert!(asset.code == 200 && asset.header("cache-control").contains("immutable"), "{asset:?}");
        packed += asset.bytes;
        plain += browser.get(path).await.bytes;
    }
    println!("an empty house: {plain} bytes, {packed} on the wire");
    assert!(plain < 60_000 && packed < 20_000, "{plain} {packed}");
    server.stop().await;
}

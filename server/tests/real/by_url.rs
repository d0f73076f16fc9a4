//! Methods by URL, as programs call them that speak no gRPC; and the document that describes them.

use serde_json::{Value, json};
use tandem_harness::TestDatabase;

use crate::{
    browser::{Browser, Seen},
    page::{add, experiment, submit_as},
    server::Server,
};

struct Program {
    browser: Browser,
    token: String,
}

impl Program {
    fn of(server: &Server, token: &str) -> Self {
        Self { browser: Browser::at(&server.address), token: format!("Bearer {token}") }
    }

    async fn get(&mut self, path: &str) -> Seen {
        self.browser.ask("GET", path, &[("authorization", &self.token)], "").await
    }

    async fn post(&mut self, path: &str, body: &str) -> Seen {
        let headers = [("authorization", self.token.as_str()), ("content-type", "application/json")];
        self.browser.ask("POST", path, &headers, body).await
    }
}

fn json_of(seen: &Seen) -> Value {
    assert!(seen.header("content-type").starts_with("application/json"), "{seen:?}");
    serde_json::from_str(&seen.body).unwrap_or_else(|error| panic!("{error}: {seen:?}"))
}

#[tokio::test]
async fn a_token_reads_and_submits_and_what_is_wrong_is_said_in_json() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = add(&server, "ann", "submitter").await.secret;
    let eve = add(&server, "eve", "reader").await.secret;
    let (mut anns, mut eves) = (Program::of(&server, &ann), Program::of(&server, &eve));

    let body = json!({ "toml": experiment("quick", 1), "file_name": "quick.toml" }).to_string();
    let submitted = anns.post("/api/v1/Jobs/Submit", &body).await;
    let job = json_of(&submitted)["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    let listed = json_of(&eves.get("/api/v1/Jobs/List?limit=1&states=queued").await);
    assert_eq!((&listed["jobs"][0]["id"], &listed["jobs"][0]["state"]), (&json!(job), &json!("queued")), "{listed}");
    assert_eq!(listed["jobs"][0]["started_at"], Value::Null);
    let asked = "/api/v1/Results/Ask?where=stage%20%3D%20%27contrastive%27&columns=job&columns=owner";
    let asked = json_of(&eves.get(asked).await);
    assert_eq!(asked["rows"][0]["cells"], json!([{ "text": "encoder" }, { "text": "ann" }]), "{asked}");

    // A stream is a line for each message, and ends when all have ended.
    let body = json!({ "target": "quick" }).to_string();
    assert_eq!(anns.post("/api/v1/Jobs/Cancel", &body).await.code, 200);
    let watched = eves.get(&format!("/api/v1/Jobs/Watch?target={job}")).await;
    assert_eq!(watched.header("content-type"), "application/x-ndjson", "{watched:?}");
    assert!(watched.body.contains("\"cancelled\""), "{watched:?}");

    for (path, code, word, words) in [
        ("/api/v1/Results/Ask?where=stag%3D1", 400, "invalid_argument", "did you mean `stage`"),
        ("/api/v1/Results/Ask?wher=1", 400, "invalid_argument", "there is no `wher`; there are where, target"),
        ("/api/v1/Jobs/List?limit=many", 400, "invalid_argument", "limit: `many` is not a whole number"),
        ("/api/v1/Jobs/Show?target=nothing", 404, "not_found", "nothing"),
        ("/api/v1/Jobs/Watch?target=nothing", 404, "not_found", "nothing"),
        ("/api/v1/People/Audit", 403, "permission_denied", "admin"),
        ("/results.csv?wher=1", 400, "invalid_argument", "there is no `wher`"),
        ("/jobs/nothing/curves.csv", 404, "not_found", "nothing"),
        ("/jobs/nothing/curves.csv?points=1", 400, "invalid_argument", "points: expected"),
    ] {
        let seen = eves.get(path).await;
        let problem = json_of(&seen);
        assert_eq!((seen.code, problem["code"].as_str().unwrap()), (code, word), "{path}: {seen:?}");
        assert!(problem["message"].as_str().unwrap().contains(words), "{path}: {seen:?}");
    }
    let seen = anns.get("/api/v1/Jobs/Submit").await;
    assert!(seen.code == 405 && seen.header("allow") == "POST" && seen.body.contains("called by POST"), "{seen:?}");
    // A method that is not offered, and none at all.
    for path in ["/api/v1/Jobs/Pause", "/api/v1/Results/Fetch", "/api/v1/Nothing/List", "/api/v1/", "/api/v2"] {
        let seen = eves.get(path).await;
        assert_eq!((seen.code, json_of(&seen)["code"].as_str().unwrap()), (404, "not_found"), "{path}");
    }
    let reader = eves.post("/api/v1/Jobs/Submit", &body).await;
    assert_eq!((reader.code, json_of(&reader)["code"].as_str().unwrap()), (403, "permission_denied"));
    for (body, words) in [("{", "no JSON"), ("[]", "a list is not an object"), ("{\"tom\": 1}", "there is no `tom`")] {
        let seen = anns.post("/api/v1/Jobs/Submit", body).await;
        assert!(seen.code == 400 && seen.body.contains(words), "{seen:?}");
    }
    assert_eq!(database.count("experiments"), 1);
    server.stop().await;
}

#[tokio::test]
async fn without_a_token_there_is_nothing_and_a_cookie_is_none() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = add(&server, "ann", "submitter").await.secret;
    submit_as(&server, &ann, &experiment("quick", 1)).await;
    let mut browser = Browser::at(&server.address);
    for path in ["/api/v1/Jobs/List", "/api/v1/openapi.json", "/results.csv", "/jobs/7/curves.csv"] {
        let seen = browser.ask("GET", path, &[], "").await;
        assert_eq!((seen.code, json_of(&seen)["code"].as_str().unwrap()), (401, "unauthenticated"), "{seen:?}");
        assert_eq!(seen.header("www-authenticate"), "Bearer");
    }
    assert_eq!(browser.ask("GET", "/results.csv?token=tdm_x", &[], "").await.code, 401, "no token in a URL");
    let mut browser = crate::page::logged_in(&server, &ann).await;
    let json = [("content-type", "application/json")];
    assert_eq!(browser.ask("POST", "/api/v1/Jobs/Cancel", &json, "{\"target\":\"quick\"}").await.code, 401);
    assert_eq!(browser.ask("GET", "/api/v1/Jobs/List", &[], "").await.code, 401);
    // Files are for who looks at pages, too.
    let seen = browser.ask("GET", "/results.csv?columns=job", &[], "").await;
    assert_eq!((seen.code, seen.header("content-disposition")), (200, "attachment; filename=\"results.csv\""));
    // A form of another site is no JSON.
    let token = [("authorization", format!("Bearer {ann}"))];
    let seen =
        Browser::at(&server.address).ask("POST", "/api/v1/Jobs/Cancel", &[("authorization", &token[0].1)], "{}").await;
    assert!(seen.code == 415 && seen.body.contains("Content-Type: application/json"), "{seen:?}");
    server.stop().await;
}

#[tokio::test]
async fn tables_come_as_files_page_after_page() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = add(&server, "ann", "submitter").await.secret;
    let submitted = submit_as(&server, &ann, &experiment("quick", 1)).await;
    let job = &submitted.jobs[0].job_id;
    database.execute(&format!(
        "INSERT INTO metrics (job_id, name, step, value, fence, at) SELECT '{job}', name, step, step / 7.0, 1, now()
         FROM generate_series(0, 70000) AS step, (VALUES ('loss'), ('lr')) AS named (name)"
    ));
    let mut program = Program::of(&server, &ann);
    let csv = program.get("/results.csv?columns=job&columns=seed&columns=created&order=seed").await;
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!((csv.code, lines[0]), (200, "job_id,experiment_id,job,seed,created"), "{csv:?}");
    assert_eq!((csv.header("content-type"), lines.len()), ("text/csv; charset=utf-8", 3));
    let one = program.get("/results.json?limit=1&columns=job").await;
    let cursor = one.header("tandem-next-cursor").to_owned();
    assert!(!cursor.is_empty(), "{one:?}");
    let rest = program.get(&format!("/results.json?limit=1&columns=job&cursor={cursor}")).await;
    assert!(rest.header("tandem-next-cursor").is_empty() && rest.code == 200 && rest.body != one.body, "{rest:?}");
    let parquet = program.get("/results.parquet").await;
    assert!(parquet.body.starts_with("PAR1") && parquet.body.ends_with("PAR1"), "{}", parquet.code);

    // In several parts, as there are more points than are asked for at a time.
    let curve = program.get(&format!("/jobs/{job}/curves.csv?name=loss")).await;
    assert_eq!(curve.code, 200, "{curve:?}");
    let points: Vec<&str> = curve.body.lines().filter(|line| line.starts_with("encoder,loss,")).collect();
    assert!(points.len() >= 70_000 && curve.body.contains("encoder,loss,70000,10000.0"), "{}", points.len());
    assert!(!curve.body.contains(",lr,"));
    let thin = program.get("/jobs/quick%2Fencoder/curves.csv?points=10").await;
    let points = thin.body.lines().filter(|line| line.starts_with("encoder,l")).count();
    assert!((8..=20).contains(&points) && thin.body.contains(",lr,"), "{thin:?}");
    let none = program.get(&format!("/jobs/{job}/curves.csv?name=los")).await;
    assert!(none.code == 404 && none.body.contains("has no curve `los`"), "{none:?}");
    server.stop().await;
}

#[tokio::test]
async fn every_read_answers_as_the_document_says() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let root = add(&server, "root", "admin").await.secret;
    let submitted = submit_as(&server, &root, &experiment("quick", 1)).await;
    let mut program = Program::of(&server, &root);
    let document = json_of(&program.get("/api/v1/openapi.json").await);
    let schema = |of: &Value| json!({ "$ref": of["$ref"], "components": document["components"] });
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(read) = operations.get("get").filter(|_| path.starts_with("/api/")) else { continue };
        // What a method cannot do without.
        let query = match path.rsplit('/').next().unwrap() {
            "Show" if path.contains("Jobs") => "?target=quick",
            "Why" | "Metrics" | "Logs" => "?target=quick",
            "Watch" => continue,
            "Receipt" => continue,
            _ => "",
        };
        let seen = program.get(&format!("{path}{query}")).await;
        assert_eq!(seen.code, 200, "{path}: {seen:?}");
        let (content, of) = read["responses"]["200"]["content"].as_object().unwrap().iter().next().unwrap();
        assert!(seen.header("content-type").starts_with(content.as_str()), "{path}: {seen:?}");
        let validator = jsonschema::validator_for(&schema(&of["schema"])).unwrap();
        let answers: Vec<Value> = match content.as_str() {
            "application/json" => vec![json_of(&seen)],
            _ => (seen.body.lines().filter(|line| line.starts_with('{')))
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        };
        for answer in &answers {
            let faults: Vec<String> = validator.iter_errors(answer).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{path}: {faults:?} in {answer}");
        }
        tried += 1;
    }
    assert_eq!(tried, 23, "all but those that want a job that runs or has ended");
    // What it says may be left out may be left out, and a wrong field is refused.
    let body = operations_of(&document, "/api/v1/Jobs/Submit");
    let validator = jsonschema::validator_for(&schema(&body)).unwrap();
    assert!(validator.is_valid(&json!({ "toml": "x" })) && !validator.is_valid(&json!({ "tom": "x" })));
    assert!(!submitted.experiment_id.is_empty());
    server.stop().await;
}

fn operations_of(document: &Value, path: &str) -> Value {
    document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"].clone()
}

//! What a person does on the page, and what everybody may expect of it.

use std::path::Path;

use fantoccini::Locator;
use tandem_harness::until_async;
use uuid::Uuid;

use crate::{
    LIMIT,
    chromium::{Chromium, is_absent},
    fake_worker::FakeWorker,
    house::{House, Played, sweep},
};

/// Bytes and requests of the first view of an empty house.
const BYTES: u64 = 60_000;
const REQUESTS: u64 = 5;

async fn log_in(browser: &Chromium, house: &House, token: &str) {
    browser.client.goto(&format!("{}/login", house.server.address)).await.unwrap();
    let form = browser.client.form(Locator::Css("main form")).await.unwrap();
    form.set_by_name("token", token).await.unwrap();
    browser.client.find(Locator::Css("button.main")).await.unwrap().click().await.unwrap();
    browser.until("logged in", "return location.pathname === '/' && document.querySelector('.who') !== null").await;
}

async fn log_out(browser: &Chromium) {
    browser.client.find(Locator::Css(".who button")).await.unwrap().click().await.unwrap();
    browser.until("logged out", "return location.pathname === '/login'").await;
}

fn is_quiet(said: &[String]) {
    assert!(said.is_empty(), "the console says: {said:?}");
}

#[tokio::test]
#[ignore = "needs chromium, chromium-driver and axe-core: make rehearse PARTS=browser"]
async fn somebody_logs_in_watches_a_curve_grow_cancels_the_job_and_logs_out() {
    let house = House::open().await;
    let browser = Chromium::start().await;
    log_in(&browser, &house, &house.ann).await;
    browser.devtools("Network.clearBrowserCache", serde_json::json!({})).await;
    browser.client.refresh().await.unwrap();
    browser.until("it is loaded", "return document.readyState === 'complete'").await;
    let used = browser
        .run(
            "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
             const one = all.filter((one) => !one.name.includes('/live'));
             return [one.length, one.reduce((sum, one) => sum + one.transferSize, 0)]",
        )
        .await;
    // One more is the stream of changes.
    let (requests, bytes) = (used[0].as_u64().unwrap() + 1, used[1].as_u64().unwrap());
    println!("first view of an empty house: {requests} requests, {bytes} bytes");
    assert!(requests <= REQUESTS && bytes <= BYTES && bytes > 4000, "{used}");

    let submitted = house.submits(&house.ann, &sweep("quickstart", 1)).await;
    let mut played = house.plays("gpu-0").await;
    played.trains(1, 20).await;
    // The first page has heard of it.
    browser.until("the worker is there", "return document.body.textContent.includes('quickstart/encoder')").await;
    browser.client.find(Locator::LinkText("quickstart/encoder")).await.unwrap().click().await.unwrap();
    browser.until("the curve is there", "return document.querySelectorAll('figure polyline').length > 0").await;
    browser.run("window.stayed = true; document.querySelector('#spec-details summary').click(); document.querySelector('button.danger').focus()").await;
    let points = "return [...document.querySelectorAll('#curve-0 polyline')].map((one) => one.getAttribute('points').trim().split(' ').length).sort((a, b) => b - a)[0]";
    let before = browser.run(points).await.as_u64().unwrap();
    for first in [21, 61, 101] {
        played.trains(first, 40).await;
        let at_least =
            format!("{} >= {}", points.replace("return ", "return ("), first.min(100)).replacen(" >=", ") >=", 1);
        browser.until("the curve grows", &at_least).await;
    }
    let after = browser.run(points).await.as_u64().unwrap();
    assert!(after > 3 * before, "{before} {after}");
    let kept = browser
        .run("return [window.stayed, document.querySelector('#spec-details').open, document.activeElement.className]")
        .await;
    assert_eq!(kept, serde_json::json!([true, true, "danger"]), "loaded again, or the focus is lost");

    browser.client.find(Locator::Css("button.danger")).await.unwrap().click().await.unwrap();
    browser
        .until("it is told", "return document.querySelector('.told')?.textContent.includes('Cancelled') ?? false")
        .await;
    let state = house.database.text(&format!("SELECT state::text FROM jobs WHERE id = '{}'", submitted.jobs[0].job_id));
    assert_eq!(state, "cancelled");
    // Its curve stays.
    assert!(browser.run(points).await.as_u64().unwrap() > 100);
    let absent = browser.client.find(Locator::Css("button.danger")).await;
    assert!(absent.is_err_and(|error| is_absent(&error)), "nobody cancels it twice");
    let shift = browser.run("return new Promise((done) => new PerformanceObserver((list) => done(list.getEntries().reduce((sum, one) => sum + one.value, 0))).observe({ type: 'layout-shift', buffered: true }) || setTimeout(() => done(0), 500))").await;
    assert!(shift.as_f64().unwrap() < 0.05, "{shift}");
    log_out(&browser).await;
    browser.client.goto(&format!("{}/queue", house.server.address)).await.unwrap();
    browser.until("nobody is logged in", "return location.pathname === '/login'").await;
    is_quiet(&browser.console().await);
    browser.client.clone().close().await.unwrap();
    house.server.stop().await;
}

#[tokio::test]
#[ignore = "needs chromium, chromium-driver and axe-core: make rehearse PARTS=browser"]
async fn a_browser_finds_back_to_a_coordinator_that_was_away_and_to_the_way_in() {
    let house = House::open().await;
    let browser = Chromium::start().await;
    log_in(&browser, &house, &house.ann).await;
    browser.until("connected", "return document.getElementById('stale').hidden").await;
    house.database.execute("UPDATE tokens SET revoked_at = now()");
    browser.until("it is asked who it is", "return location.pathname === '/login'").await;
    browser.client.clone().close().await.unwrap();
    house.server.stop().await;
}

/// A house in the middle of a day.
async fn busy() -> (House, Vec<Played>, Vec<FakeWorker>, Vec<(&'static str, String)>) {
    let house = House::open().await;
    let (mut played, mut idle) = (Vec::new(), Vec::new());
    let submitted = house.submits(&house.ann, &sweep("quickstart", 1)).await;
    for (seed, name) in [(2, "tikhonov-lambda"), (3, "robust-baseline"), (4, "figure-2")] {
        house.submits(&house.admin, &sweep(name, seed)).await;
    }
    for name in ["gpu-0", "gpu-1"] {
        let mut one = house.plays(name).await;
        one.trains(1, 150).await;
        played.push(one);
    }
    for name in ["gpu-2", "gpu-3"] {
        house.database.execute("UPDATE jobs SET not_before = now() + interval '1 day' WHERE state = 'queued'");
        idle.push(FakeWorker::register(&house.server, name, Uuid::new_v4(), Vec::new()).await);
    }
    house.measures(&played).await;
    // One that has ended well, with a file and figures.
    let job = &submitted.jobs[0].job_id;
    house.database.execute(&format!(
        "INSERT INTO artifacts (id, job_id, fence, kind, name, uri, sha256, bytes, at, rank)
         VALUES (gen_random_uuid(), '{job}', 1, 'encoder', 'encoder.safetensors', 'x', repeat('ab', 32), 4500000, now(), 0);
         INSERT INTO checkpoints (job_id, fence, step, path, sha256, bytes, at)
         SELECT '{job}', 1, n * 50, 'x', repeat('cd', 32), 9000000, now() FROM generate_series(1, 3) n;
         UPDATE jobs SET state = 'failed', finished_at = now(), reason = 'the loss was not finite at step 12'
         WHERE id = (SELECT job_id FROM experiment_jobs JOIN experiments e ON e.id = experiment_id
                     WHERE e.name = 'figure-2' AND experiment_jobs.name = 'encoder');
         INSERT INTO results (job_id, fence, name, value, at, stage)
         SELECT id, 1, r.name, r.value, now(), 'contrastive' FROM jobs,
             (VALUES ('accuracy', 0.8312), ('knn_accuracy', 0.744), ('seconds', 3723)) r (name, value) WHERE state = 'failed';
         UPDATE jobs SET started_at = now() - interval '1 hour' WHERE state = 'failed';"
    ));
    let pages = vec![
        ("box", "/".to_owned()),
        ("queue", "/queue".to_owned()),
        ("experiments", "/experiments".to_owned()),
        ("experiment", format!("/experiments/{}", submitted.experiment_id)),
        ("job", format!("/jobs/{job}")),
        ("results", "/results".to_owned()),
        ("people", "/people".to_owned()),
        ("absent", "/nothing".to_owned()),
    ];
    (house, played, idle, pages)
}

#[tokio::test]
#[ignore = "needs chromium, chromium-driver and axe-core: make rehearse PARTS=browser"]
async fn everybody_can_use_every_page_in_light_and_dark_on_a_telephone_and_on_a_desk() {
    let (house, played, _idle, pages) = busy().await;
    let browser = Chromium::start().await;
    let mut wrong = Vec::new();
    // The way in, before there is a session.
    browser.client.goto(&format!("{}/login", house.server.address)).await.unwrap();
    for scheme in ["light", "dark"] {
        look(&browser, "login", scheme, &mut wrong).await;
    }
    log_in(&browser, &house, &house.admin).await;
    for (name, path) in &pages {
        house.beats(&played).await;
        browser.client.goto(&format!("{}{path}", house.server.address)).await.unwrap();
        for scheme in ["light", "dark"] {
            look(&browser, name, scheme, &mut wrong).await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let said: Vec<String> = browser.console().await;
    // That there is nothing at a path is told by the browser itself.
    is_quiet(&said.into_iter().filter(|line| !line.contains("/nothing")).collect::<Vec<_>>());
    browser.client.clone().close().await.unwrap();
    house.server.stop().await;
}

async fn look(browser: &Chromium, name: &str, scheme: &str, wrong: &mut Vec<String>) {
    browser.scheme(scheme).await;
    for width in [1280, 390] {
        browser.width(width).await;
        until_async("the page has its width", LIMIT, async || {
            (browser.run("return innerWidth").await == width).then_some(())
        })
        .await;
        let wide = browser.run("return document.documentElement.scrollWidth").await.as_u64().unwrap();
        if wide > u64::from(width) {
            wrong.push(format!("{name} at {width}: it is {wide} pixels wide"));
        }
        wrong.extend(browser.violations().await.into_iter().map(|one| format!("{name}, {scheme}, {width}: {one}")));
        browser.picture(&format!("{name}-{scheme}-{width}")).await;
    }
}

/// The tests of this crate need what `browser/setup` installs.
#[test]
fn the_setup_is_there() {
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("setup").is_file());
}

//! Chromium without a screen, driven by its own driver.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use fantoccini::{Client, ClientBuilder, error::ErrorStatus, wd::WebDriverCompatibleCommand};
use serde_json::{Value, json};
use tandem_harness::until_async;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::LIMIT;

pub(crate) struct Chromium {
    pub(crate) client: Client,
    axe: String,
    _driver: Child,
    _profile: TempDir,
}

/// Of this workspace's target folder.
pub(crate) fn folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release")).unwrap();
    target.parent().unwrap().join("browser")
}

fn axe() -> String {
    let file = Path::new("node_modules/axe-core/axe.min.js");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/browser");
    let found = [root, folder()].into_iter().find_map(|folder| fs::read_to_string(folder.join(file)).ok());
    found.expect("found no axe-core; browser/setup installs it")
}

impl Chromium {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let driver = driver.spawn().expect("found no chromedriver; browser/setup installs it");
        let profile = tempfile::tempdir().unwrap();
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1280,900",
        ];
        let mut args: Vec<String> = args.map(str::to_owned).to_vec();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": args },
        });
        let Value::Object(capabilities) = capabilities else { panic!("an object") };
        let connect = async || {
            let connector = hyper_util::client::legacy::connect::HttpConnector::new();
            let url = format!("http://127.0.0.1:{port}");
            ClientBuilder::new(connector).capabilities(capabilities.clone()).connect(&url).await.ok()
        };
        let client = until_async("Chromium answers", LIMIT, connect).await;
        Self { client, axe: axe(), _driver: driver, _profile: profile }
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        until_async(what, LIMIT, async || {
            // A page that is just being left runs nothing.
            let value = self.client.execute(script, Vec::new()).await.ok()?;
            value.as_bool().filter(|is| *is).map(drop)
        })
        .await;
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Own { path: "goog/cdp/execute", body }).await.unwrap()
    }

    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    pub(crate) async fn width(&self, width: u32) {
        let mobile = width < 600;
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// The whole page, not only what fits a screen.
    pub(crate) async fn picture(&self, name: &str) {
        let taken = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.devtools("Page.captureScreenshot", taken).await;
        let bytes = decoded(answer["data"].as_str().unwrap());
        let folder = folder().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// What axe finds wrong with the page that is shown.
    pub(crate) async fn violations(&self) -> Vec<String> {
        self.run(&self.axe).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then((found) => done(
                found.violations.map((one) => one.id + ': ' + one.help + ': ' + one.nodes.map((node) => node.html.slice(0, 200) + ' ' + node.failureSummary).join(' | '))),
                (error) => done(['axe: ' + error]));";
        let found = self.client.execute_async(script, Vec::new()).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// What the console says, since it was asked last.
    pub(crate) async fn console(&self) -> Vec<String> {
        let said = self.client.issue_cmd(Own { path: "se/log", body: json!({ "type": "browser" }) }).await.unwrap();
        said.as_array().unwrap().iter().map(|line| format!("{} {}", line["level"], line["message"])).collect()
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.decode(base64).unwrap()
}

/// A command that WebDriver's standard does not have.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

/// Whether the driver says that the element is not there.
pub(crate) fn is_absent(error: &fantoccini::error::CmdError) -> bool {
    matches!(error, fantoccini::error::CmdError::Standard(standard) if standard.error == ErrorStatus::NoSuchElement)
}

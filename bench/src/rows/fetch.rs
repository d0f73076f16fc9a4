//! `tandem fetch` of a large file, over TLS on loopback, against curl and sha256sum.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tandem_harness::{Coordinator, Process, Program, command, run};
use tokio::runtime::Runtime;

use super::access::token;
use super::load::experiment;
use crate::client::submit;
use crate::interleave::{interleave, median, speeds};
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::wait::wait_until;

const MEGABYTES: usize = 400;
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let coordinator = Coordinator::start_tls(&settings.binaries()?)?;
    let (folder, tandem) = (coordinator.folder(), settings.binaries()?.tandem);
    let (name, sha256) = offer(&coordinator)?;
    let token = Runtime::new()?.block_on(token(&coordinator))?;
    let config = folder.join("config");
    let fingerprint = coordinator.fingerprint.clone().context("the port speaks no TLS")?;
    let ours = |args: &[&str], stdin: &str| -> Result<f64> {
        let began = Instant::now();
        let ended = run(command(&tandem).args(args).env("XDG_CONFIG_HOME", &config), stdin);
        ensure!(ended.code == 0, "tandem {args:?} ended with {}: {}", ended.code, ended.stderr);
        Ok(began.elapsed().as_secs_f64())
    };
    ours(&["join", &coordinator.address, &fingerprint], &token)?;

    let (served, port) = serve(&folder.join("store/jobs"), folder)?;
    let shell = |script: String| -> Result<(f64, String)> {
        let began = Instant::now();
        let ended = run(command(Path::new("/bin/sh")).args(["-c", &script]), "");
        ensure!(ended.code == 0, "{script} ended with {}: {}", ended.code, ended.stderr);
        Ok((began.elapsed().as_secs_f64(), ended.stdout))
    };
    let (into, theirs) = (folder.join("fetched"), folder.join("curled"));
    let (into, theirs) = (into.display().to_string(), theirs.display().to_string());
    let certificate = folder.join("peer/cert.pem").display().to_string();
    let curl = format!(
        "rm -f {theirs} && curl --silent --show-error --fail --cacert {certificate} --output {theirs} https://localhost:{port}/big && \
         sha256sum {theirs}"
    );
    let pairs = interleave(
        settings.pairs,
        || {
            let _ = fs::remove_dir_all(&into);
            ours(&["fetch", &name, "--kind", "encoder", "--out", &into], "")
        },
        || {
            let (took, summed) = shell(curl.clone())?;
            ensure!(summed.starts_with(&sha256), "curl fetched another file");
            Ok(took)
        },
    )?;
    drop(served);
    let rate = |side: fn(&crate::interleave::Pair) -> f64| MEGABYTES as f64 / median(&pairs, side);
    Ok(vec![Row {
        name: "fetch".into(),
        what: format!("`tandem fetch` of {MEGABYTES} MB over TLS against curl, then sha256sum"),
        goal: Goal::AtLeast(0.8),
        unit: Unit::Times,
        value: speeds(&pairs)?,
        void: None,
        note: format!("{:.0} against {:.0} MB/s", rate(|pair| pair.ours), rate(|pair| pair.theirs)),
        raw: json!(pairs),
    }])
}

/// A job that has succeeded with a large file; the experiment and the file's SHA-256.
fn offer(coordinator: &Coordinator) -> Result<(String, String)> {
    let submitted = Runtime::new()?.block_on(submit(coordinator, experiment(1)?))?;
    let job = submitted.jobs.first().context("the experiment has no jobs")?.job_id.clone();
    let jobs = coordinator.folder().join("store/jobs");
    fs::create_dir_all(&jobs)?;
    let mut file = BufWriter::new(File::create(jobs.join("big"))?);
    // What no cipher or disk finds easier than weights.
    let mut random = 7_u64;
    for _ in 0..MEGABYTES * 1_000_000 / 8 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        file.write_all(&random.to_le_bytes())?;
    }
    file.flush()?;
    let summed = run(command(Path::new("sha256sum")).arg(jobs.join("big")), "");
    let sha256 = summed.stdout.split_whitespace().next().context("sha256sum printed nothing")?.to_owned();
    coordinator.database.execute(&format!(
        "INSERT INTO artifacts SELECT gen_random_uuid(), '{job}', 'encoder', 'encoder.safetensors', 'jobs/big', '{sha256}',
             {MEGABYTES}000000, 0, now();
         UPDATE jobs SET state = 'succeeded', started_at = now(), finished_at = now() WHERE id = '{job}'"
    ))?;
    Ok((submitted.experiment_id, sha256))
}

/// Has openssl serve a folder over TLS, with a certificate of its own.
fn serve(files: &Path, folder: &Path) -> Result<(Process, u16)> {
    let own = folder.join("peer");
    fs::create_dir_all(&own)?;
    let (key, certificate) = (own.join("key.pem").display().to_string(), own.join("cert.pem").display().to_string());
    let made = run(
        command(Path::new("openssl")).args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]),
        "",
    );
    ensure!(made.code == 0, "openssl made no certificate: {}", made.stderr);
    // Freed again for openssl, which takes no port 0 that it would tell.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let script = format!(
        "cd {} && exec openssl s_server -quiet -WWW -accept 127.0.0.1:{port} -key {key} -cert {certificate}",
        files.display()
    );
    let log = own.join("openssl.log");
    let mut process = Program::new("openssl", Path::new("/bin/sh"), &log).args(["-c", &script]).start()?;
    wait_until("openssl listens", LIMIT, || {
        if process.try_wait()?.is_some() {
            bail!("openssl s_server ended: {}", fs::read_to_string(&log).unwrap_or_default());
        }
        Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop))
    })?;
    Ok((process, port))
}

//! What it costs to be known: CPU of the coordinator for a call with a token beside one that anybody may make, on one open TLS
//! connection; and `tandem status` from afar, TLS handshake included.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tandem_harness::{Coordinator, command, run};
use tandem_proto::v1::{NewTokenRequest, SetPersonRequest, WhoAmIRequest, people_client::PeopleClient};
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::client::channel;
use crate::cpu::cpu_seconds;
use crate::interleave::interleave;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::stats::Summary;
use crate::way::Way;

/// Of one block: long enough for the clock of /proc, which ticks every 10 ms.
const CALLS: u32 = 5000;
const STATUSES: u32 = 15;

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let coordinator = Coordinator::start_tls(&settings.binaries()?)?;
    let runtime = Runtime::new()?;
    let token = runtime.block_on(token(&coordinator))?;
    let far = runtime.block_on(async { Way::to(&coordinator).await?.connect().await })?;
    let header: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
    // Warm: the connection is open, and nothing is done for the first time.
    runtime.block_on(known(far.clone(), &header, 200))?;
    runtime.block_on(anybody(far.clone(), 200))?;
    let cpu = |block: &dyn Fn() -> Result<()>| -> Result<f64> {
        let before = cpu_seconds(coordinator.pid())?;
        block()?;
        Ok((cpu_seconds(coordinator.pid())? - before) * 1e6 / f64::from(CALLS))
    };
    let pairs = interleave(
        settings.pairs,
        || cpu(&|| runtime.block_on(known(far.clone(), &header, CALLS))),
        || cpu(&|| runtime.block_on(anybody(far.clone(), CALLS))),
    )?;
    let more: Vec<f64> = pairs.iter().map(|pair| pair.ours - pair.theirs).collect();
    let of = |side: fn(&crate::interleave::Pair) -> f64| crate::interleave::median(&pairs, side);
    let call = Row {
        name: "access/call".into(),
        what: "CPU of a call with a token, beyond one of health, over one TLS connection".into(),
        goal: Goal::AtMost(50.0),
        unit: Unit::Microseconds,
        value: Summary::of(&more).context("nothing was measured")?,
        void: None,
        note: format!("{:.0} against {:.0} us", of(|pair| pair.ours), of(|pair| pair.theirs)),
        raw: json!(pairs),
    };
    Ok(vec![call, status(settings, &coordinator, &token)?])
}

async fn known(channel: Channel, header: &MetadataValue<Ascii>, calls: u32) -> Result<()> {
    let mut people = PeopleClient::new(channel);
    for _ in 0..calls {
        let mut request = Request::new(WhoAmIRequest {});
        request.metadata_mut().insert("authorization", header.clone());
        people.who_am_i(request).await?;
    }
    Ok(())
}

async fn anybody(channel: Channel, calls: u32) -> Result<()> {
    let mut health = HealthClient::new(channel);
    for _ in 0..calls {
        health.check(HealthCheckRequest::default()).await?;
    }
    Ok(())
}

pub(crate) async fn token(coordinator: &Coordinator) -> Result<String> {
    let mut people = PeopleClient::new(channel(coordinator).await?);
    let (name, role) = ("ann".to_owned(), Some("submitter".to_owned()));
    people.set_person(SetPersonRequest { name, role, create: true, ..Default::default() }).await?;
    let request = NewTokenRequest { name: "bench".into(), person: "ann".into(), ..Default::default() };
    Ok(people.new_token(request).await?.into_inner().secret)
}

/// Each is a `tandem` of its own, which connects anew.
fn status(settings: &Settings, coordinator: &Coordinator, token: &str) -> Result<Row> {
    let tandem = settings.binaries()?.tandem;
    let config = coordinator.folder().join("config");
    let fingerprint = coordinator.fingerprint.clone().context("the port speaks no TLS")?;
    let afar = |tandem: &Path, args: &[&str], stdin: &str| -> Result<Duration> {
        let start = Instant::now();
        let ended = run(command(tandem).args(args).env("XDG_CONFIG_HOME", &config), stdin);
        ensure!(ended.code == 0, "tandem {args:?} ended with {}: {}", ended.code, ended.stderr);
        Ok(start.elapsed())
    };
    afar(&tandem, &["join", &coordinator.address, &fingerprint], token)?;
    let times: Result<Vec<f64>> =
        (0..STATUSES).map(|_| Ok(afar(&tandem, &["status"], "")?.as_secs_f64() * 1e3)).collect();
    let times = times?;
    Ok(Row {
        name: "access/status".into(),
        what: "`tandem status` over TLS on loopback, from its start to its end".into(),
        goal: Goal::AtMost(100.0),
        unit: Unit::Milliseconds,
        value: Summary::of(&times).context("nothing was measured")?,
        void: None,
        note: format!("{STATUSES} times, handshake included"),
        raw: json!(times),
    })
}

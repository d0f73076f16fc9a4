//! A receipt in words.

use tandem_domain::receipt::{Attempt, Environment, Receipt};
use tandem_proto::v1::ReceiptDifference;

use super::{
    table::{Rows, Style},
    units,
};
use crate::printable::line;

/// The digits of a checksum that are shown: `--json` has all.
const DIGITS: usize = 16;

pub(crate) fn page(receipt: &Receipt, key: &str, style: Style) -> String {
    let job = &receipt.job;
    let mut text =
        format!("{}/{} ({}), job {}\n", line(&job.experiment), line(&job.name), line(&job.stage), line(&job.id));
    let mut fact = |what: &str, words: String| text.push_str(&format!("  {what:<11} {words}\n"));
    fact("signed by", line(key).into_owned());
    fact("content", format!("{}{}", short(&receipt.key.content_key), derived(receipt)));
    fact(
        "data",
        match &receipt.images {
            Some(images) => format!("images and labels {}", short(images)),
            None => "no checksum: synthetic, or not known at submit".to_owned(),
        },
    );
    fact("draws", format!("seed {}, shards: {}", job.seed, job.shards));
    if let Some(of) = &job.reproduces {
        fact("runs anew", format!("job {}", line(of)));
    }
    for input in &receipt.inputs {
        let receipt = input.receipt_sha256.as_deref().map_or_else(|| "no receipt".to_owned(), short);
        fact("from", format!("job {}, receipt {receipt}", line(&input.job)));
    }
    for environment in receipt.environments() {
        ran_on(environment).into_iter().for_each(|(what, words)| fact(what, words));
    }
    receipt.attempts.iter().for_each(|one| fact("attempt", attempt(one)));
    if let (Some(last), stored) = (receipt.checkpoints.last(), receipt.checkpoints_stored) {
        fact(
            "checkpoints",
            format!("{stored}, the last of step {} with state {}", last.step, short(&last.state_sha256)),
        );
    }
    if let Some(finished) = receipt.times.finished_at {
        fact("finished", units::moment(finished));
    }
    let mut results = Rows::new(style, &["RESULT", "VALUE"]);
    receipt
        .results
        .iter()
        .for_each(|(name, value)| results.row([line(name).into_owned().into(), value.to_string().into()]));
    let mut files = Rows::new(style, &["FILE", "SIZE", "SHA-256"]);
    for file in &receipt.artifacts {
        let name = line(&file.name).into_owned();
        files.row([name.into(), units::bytes(file.bytes).into(), short(&file.sha256).into()]);
    }
    files.right(1);
    format!("{text}\n{results}\n{files}")
}

/// What was altered since: a line each.
pub(crate) fn differences(differences: &[ReceiptDifference]) -> String {
    let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { line(text).into_owned() };
    let one = |one: &ReceiptDifference| {
        format!("  {}: signed {}, now {}", line(&one.field), shown(&one.signed), shown(&one.now))
    };
    differences.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn derived(receipt: &Receipt) -> &'static str {
    match receipt.key.derived {
        Some(true) => ", which follows from spec, data and inputs",
        Some(false) => ", which does NOT follow from spec, data and inputs: one was altered before it was signed",
        None => "",
    }
}

fn ran_on(environment: &Environment) -> [(&'static str, String); 3] {
    let device = &environment.device;
    let driver = if device.driver.is_empty() { String::new() } else { format!(", driver {}", line(&device.driver)) };
    let (worker, host) = (line(&environment.worker), line(&environment.host));
    let processor = format!(
        "{}, {} instructions, threads of a shard: {}",
        line(&environment.processor),
        line(&environment.instructions),
        environment.threads
    );
    let program = format!(
        "tandem-worker {} {}, libtorch {}",
        line(&environment.version),
        short(&environment.binary_sha256),
        line(&environment.libtorch)
    );
    [
        ("device", format!("{} {} of {worker} on {host}{driver}", line(&device.kind), line(&device.name))),
        ("processor", processor),
        ("program", program),
    ]
}

fn attempt(attempt: &Attempt) -> String {
    let cause = if attempt.cause.is_empty() { String::new() } else { format!(": {}", line(&attempt.cause)) };
    let from = if attempt.first_step > 0 { format!(" from step {}", attempt.first_step) } else { String::new() };
    let workers = if attempt.world_size == 1 { "worker" } else { "workers" };
    format!("{} on {} {workers}{from}, {}{cause}", attempt.number, attempt.world_size, line(&attempt.state))
}

fn short(sha256: &str) -> String {
    if sha256.is_empty() { "not known".to_owned() } else { line(sha256).chars().take(DIGITS).collect() }
}

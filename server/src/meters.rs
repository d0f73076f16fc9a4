//! What this process counts and measures as it goes, for `/metrics`. It is one for the whole process, so that whoever counts need
//! not be handed it.
//!
//! Labels come from sets that do not grow: methods of the table of rules, names of pools and of files. Never a name of a person.

use std::{sync::LazyLock, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    pool: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transaction {
    pool: &'static str,
    /// The file that began it.
    of: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// From a millisecond, which an idle Postgres takes, to the limits of `domain::timing`.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// All of them from the beginning: a rate needs what it grew from.
fn kinds(kinds: &[&'static str]) -> Family<Kind, Counter> {
    let family = Family::default();
    for kind in kinds {
        drop(family.get_or_create(&Kind { kind }));
    }
    family
}

struct Meters {
    requests: Family<Request, Counter>,
    request_seconds: Family<Method, Histogram>,
    refusals: Family<Kind, Counter>,
    pool_wait: Family<Pool, Histogram>,
    transactions: Family<Transaction, Histogram>,
    passes: Histogram,
    failed_passes: Counter,
    tells: Family<Kind, Counter>,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters {
    requests: Family::default(),
    request_seconds: Family::new_with_constructor(seconds),
    refusals: kinds(&["unknown", "forbidden", "too many"]),
    pool_wait: Family::new_with_constructor(seconds),
    transactions: Family::new_with_constructor(seconds),
    passes: seconds(),
    failed_passes: Counter::default(),
    tells: kinds(&["sent", "failed", "given up"]),
});

/// A request was answered. `took`: not of one that is a stream.
pub(crate) fn request(method: &'static str, outcome: &'static str, took: Option<Duration>) {
    METERS.requests.get_or_create(&Request { method, outcome }).inc();
    if let Some(took) = took {
        METERS.request_seconds.get_or_create(&Method { method }).observe(took.as_secs_f64());
    }
}

/// A request was refused before it began.
pub(crate) fn refusal(kind: &'static str) {
    METERS.refusals.get_or_create(&Kind { kind }).inc();
}

/// Somebody waited for a connection of this pool, and got one or not.
pub(crate) fn pool_wait(pool: &'static str, took: Duration) {
    METERS.pool_wait.get_or_create(&Pool { pool }).observe(took.as_secs_f64());
}

/// A transaction has ended that `of` began.
pub(crate) fn transaction(pool: &'static str, of: &'static str, took: Duration) {
    METERS.transactions.get_or_create(&Transaction { pool, of }).observe(took.as_secs_f64());
}

/// A pass of the scheduler, of a coordinator that leads.
pub(crate) fn pass(took: Duration, is_ok: bool) {
    METERS.passes.observe(took.as_secs_f64());
    if !is_ok {
        METERS.failed_passes.inc();
    }
}

/// Somebody was told, or not: "sent", "failed" or "given up".
pub(crate) fn tell(kind: &'static str) {
    METERS.tells.get_or_create(&Kind { kind }).inc();
}

/// Lists all of them.
pub(crate) fn register(registry: &mut Registry) {
    let meters = &*METERS;
    let Meters { requests, request_seconds, refusals, pool_wait, transactions, passes, failed_passes, tells } = meters;
    registry.register("requests", "Requests that were answered, by method and outcome", requests.clone());
    registry.register_with_unit(
        "request",
        "From a request to its answer, without those that stay open",
        Unit::Seconds,
        request_seconds.clone(),
    );
    registry.register("refusals", "Requests that were refused before they began", refusals.clone());
    registry.register_with_unit(
        "pool_wait",
        "How long a connection to Postgres was waited for",
        Unit::Seconds,
        pool_wait.clone(),
    );
    registry.register_with_unit(
        "transaction",
        "From the beginning of a transaction to its end, by pool and by what began it",
        Unit::Seconds,
        transactions.clone(),
    );
    registry.register_with_unit("scheduler_pass", "One pass of the scheduler", Unit::Seconds, passes.clone());
    registry.register("scheduler_failed_passes", "Passes of the scheduler that failed", failed_passes.clone());
    registry.register("tell_tries", "Tries to send a message, by how they went", tells.clone());
}

//! Start and stop: checks what must be there before anything is served, and ends what runs in order.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use chrono::Utc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tandem_domain::{
    place::Policy,
    timing::{self, choose, timing},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::RoutesBuilder;
use tonic_health::{ServingStatus, server::HealthReporter};
use uuid::Uuid;

use crate::{
    access::{Gate, Guard, cookie::Cookies, guard},
    config::Args,
    datasets::shelf,
    dispatch::Dispatcher,
    facts, fold,
    keeping::task::Keeper,
    listen::{self, ListenError, Listening, check_exposure, router},
    metrics::{open::Sight, page::Metrics},
    notifier::Notifier,
    page,
    private_file::{self, PrivateFileError},
    query::watch::Watches,
    receipts::{HouseKey, KeyFileError, Receipts, default_file},
    report::collect::Collector,
    rest,
    rpc::{Admission, Api, Backlog},
    samples::Samples,
    schedule::Scheduler,
    sharing::outlook::Outlooks,
    store::{
        Store,
        schema::{self, OpenError},
    },
    store_folder::StoreFolder,
    telling::{
        courier::{Courier, TellingError},
        task::Teller,
    },
    verify::Verifier,
};

/// Why the server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot use the store folder {folder}: {source}", folder = .folder.display())]
    Store { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error("cannot read people and tokens out of the database: {0}")]
    People(String),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("cannot use --database-password-file: {0}")]
    Password(#[from] PrivateFileError),
    #[error(transparent)]
    ReceiptKey(#[from] KeyFileError),
    #[error(transparent)]
    Telling(#[from] TellingError),
    #[error("cannot announce the address in {file}: {source}", file = .file.display())]
    Announce { file: PathBuf, source: io::Error },
    #[error("cannot start: {0}")]
    Runtime(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("serving failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    #[error("{0}; without it this coordinator would only look healthy. Jobs go on; start it again")]
    Background(String),
}

impl StartError {
    /// The exit code, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Database(error) if error.is_unavailable() => 69,
            Self::People(_) => 69,
            Self::Runtime(_) | Self::Serve(_) | Self::Background(_) => 70,
            Self::Listen(error) => error.exit_code(),
            Self::ReceiptKey(error) => error.exit_code(),
            Self::Store { .. } | Self::Announce { .. } => 73,
            Self::Database(_) | Self::Password(_) | Self::Telling(_) => 78,
        }
    }
}

/// Serves until SIGTERM or SIGINT. A second one ends it at once.
pub fn run(args: Args) -> Result<(), StartError> {
    raise_open_files();
    // Two threads are enough: a busy coordinator mostly waits for Postgres.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| StartError::Runtime(error.into()))?;
    let outcome = runtime.block_on(async {
        let closing = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| StartError::Runtime(error.into()))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| StartError::Runtime(error.into()))?;
        let signalled_twice = async {
            for says in ["shutting down; jobs go on", "ending at once"] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!("signal: {says}");
                closing.cancel();
            }
        };
        tokio::select! {
            outcome = serve(args, closing.clone()) => outcome,
            () = signalled_twice => Ok(()),
        }
    });
    // A thread that waits for a file system that hangs is not waited for.
    runtime.shutdown_background();
    outcome
}

/// Raises the limit of open files as far as allowed, because each worker's stream is one.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Serves until `closing`.
///
/// # Errors
/// Says what must be changed before a start can succeed; see [`StartError::exit_code`].
pub async fn serve(args: Args, closing: CancellationToken) -> Result<(), StartError> {
    choose(args.timing);
    check_exposure(&args)?;
    let folder =
        StoreFolder::open(&args.store).map_err(|source| StartError::Store { folder: args.store.clone(), source })?;
    // Open before the database is touched: a second server on the same port must not migrate anything.
    let listening = Listening::open(&args).await?;
    let courier = Arc::new(Courier::new(&args.telling, listening.address.port())?);
    let password = args.database_password_file.as_deref().map(private_file::password).transpose()?;
    let store = schema::open(&args.database_url, password.as_deref()).await?;
    let gate = Gate::open(store.clone(), args.login_role).await;
    let gate = gate.map_err(|error| StartError::People(error.to_string()))?;

    let receipts = Arc::new(Receipts { store: store.clone(), key: receipt_key(&args, &store).await? });

    let notifier = Arc::new(Notifier::new());
    let streams = TaskTracker::new();
    let dispatcher = Arc::new(Dispatcher::new(store.clone(), notifier.clone(), folder.clone()));
    let scheduler = Scheduler {
        store: store.clone(),
        notifier: notifier.clone(),
        id: Uuid::new_v4(),
        name: args.display_name(),
        policy: Policy::default(),
    };
    let verifier = Verifier::new(store.clone(), folder.clone(), notifier.clone(), args.display_name());
    let (reports, storing) = Collector::new(store.clone(), &folder.root);
    let samples = Arc::new(Samples::new(store.clone()));
    let outlooks = Outlooks::new(store.clone(), scheduler.policy.clone());
    let admission = Admission::new();
    let cookies = Cookies { secure: listening.speaks_tls() };
    let house = page::House {
        store: store.clone(),
        gate: gate.clone(),
        cookies,
        admission: admission.clone(),
        outlooks: outlooks.clone(),
        folder: folder.clone(),
        lives: page::Lives::new(store.clone(), outlooks.clone(), notifier.clone(), streams.clone(), closing.clone()),
        closing: closing.clone(),
        streams: streams.clone(),
    };
    let api = Api {
        store: store.clone(),
        notifier: notifier.clone(),
        dispatcher: dispatcher.clone(),
        reports,
        samples: samples.clone(),
        watches: Watches::new(store.clone(), notifier.clone(), streams.clone()),
        outlooks,
        admission,
        backlog: Backlog::new(),
        gate: gate.clone(),
        courier: courier.clone(),
        receipts: receipts.clone(),
        data_limit: args.data_limit,
        page_address: listening.page_address(),
        started_at: Utc::now(),
        closing: closing.clone(),
        streams: streams.clone(),
    };
    let sight = Sight {
        store: store.clone(),
        dispatcher: dispatcher.clone(),
        gate: gate.clone(),
        reports: api.reports.clone(),
        backlog: api.backlog.clone(),
    };
    let metrics = Metrics::new(store.clone(), scheduler.id, sight);
    let teller = Teller { store: store.clone(), courier, holder: scheduler.id };
    let (health, health_service) = tonic_health::server::health_reporter();
    let id = scheduler.id;
    let mut background = start_background(dispatcher, scheduler, verifier, health, &closing);
    background.spawn(named("telling people", teller.run(closing.clone())));
    let storing = background.spawn(named("storing reports", storing));
    background.spawn({
        let (notifier, closing) = (notifier.clone(), closing.clone());
        named("signing receipts", async move { receipts.run(&notifier, &closing).await })
    });
    background.spawn({
        let (gate, closing) = (gate.clone(), closing.clone());
        named("knowing people and tokens", async move { gate.run(&notifier, &closing).await })
    });
    background.spawn({
        let (samples, closing) = (samples.clone(), closing.clone());
        named("storing looks at devices", async move { samples.run(&closing).await })
    });
    background.spawn({
        let closing = closing.clone();
        named("thinning looks at devices", async move { samples.thin(id, &closing).await })
    });
    background.spawn({
        let (store, closing) = (store.clone(), closing.clone());
        // Its end is that nothing is missing any more.
        named("filling in facts", async move {
            facts::fill(store, id, closing.clone()).await;
            closing.cancelled().await;
        })
    });
    background.spawn(named("folding curves", fold::run(store.clone(), id, closing.clone())));
    let keeper = Keeper { store: store.clone(), folder: folder.clone(), holder: id };
    background.spawn(named("removing what is to go", keeper.run(closing.clone())));
    let sweeping = shelf::sweep(store.clone(), folder, closing.clone());
    background.spawn(named("sweeping unfinished data sets", sweeping));
    background.spawn(named("looking after the certificate", listening.watch_certificate(closing.clone())));
    let mut builder = RoutesBuilder::default();
    builder.add_service(health_service);
    let routes = api.clone().routes(builder).map_err(|error| StartError::Runtime(error.into()))?;
    let services = router(routes);
    let router = services
        .clone()
        .route("/metrics", get(move || metrics.clone().page()))
        .merge(rest::router(services, api))
        .merge(page::router(house))
        .layer(from_fn_with_state(Guard { gate, cookies }, guard));
    let router = router.layer(from_fn(page::dress));
    if let Some(file) = &args.announce {
        announce(file, &listening.announcement())?;
    }
    listening.say_how_to_join();
    let address = listening.address;
    let (incoming, socket_file) = listening.into_incoming();
    tracing::info!(%address, name = args.display_name(), timing = timing().name, "serving");
    let served = tokio::select! {
        served = listen::serve(router, incoming, &closing) => served.map_err(StartError::from),
        ended = unexpected_end(&mut background, &closing) => {
            tracing::error!("{ended}; the coordinator ends");
            Err(StartError::Background(ended))
        }
    };
    closing.cancel();
    drop(socket_file);
    streams.close();
    end_within("streams", timing::SHUTDOWN_GRACE, streams.wait()).await;
    // Nobody reports any more.
    storing.abort();
    end_within("tasks", timing::SHUTDOWN_GRACE, async { while background.join_next().await.is_some() {} }).await;
    end_within("connections to the database", timing::SHUTDOWN_GRACE, store.close()).await;
    tracing::info!("stopped");
    served
}

/// The key that this coordinator signs receipts with, if it has the house's.
async fn receipt_key(args: &Args, store: &Store) -> Result<Option<HouseKey>, StartError> {
    let Some(file) = args.receipt_key.clone().or_else(|| default_file(args.tls_dir.as_deref())) else {
        tracing::warn!("this coordinator signs no receipts: neither --receipt-key nor HOME says where its key is");
        return Ok(None);
    };
    Ok(HouseKey::open(store, &file, &args.display_name(), args.new_receipt_key).await?)
}

async fn end_within(what: &str, grace: Duration, end: impl Future<Output = ()>) {
    if timeout(grace, end).await.is_err() {
        tracing::warn!("some {what} did not end in time and are cut");
    }
}

/// Starts what runs beside the requests: notifications, dispatch, heartbeats, the scheduler, reading artifacts back.
fn start_background(
    dispatcher: Arc<Dispatcher>,
    scheduler: Scheduler,
    verifier: Verifier,
    health: HealthReporter,
    closing: &CancellationToken,
) -> JoinSet<&'static str> {
    let mut background = JoinSet::new();
    background.spawn({
        let (notifier, store, closing) = (dispatcher.notifier.clone(), dispatcher.store.clone(), closing.clone());
        named("listening to notifications", async move { notifier.listen(&store, &closing).await })
    });
    background.spawn({
        let (dispatcher, closing) = (dispatcher.clone(), closing.clone());
        named("instructing workers", async move { dispatcher.run(&closing).await })
    });
    background.spawn({
        let closing = closing.clone();
        named("storing heartbeats", async move { dispatcher.renew(&closing).await })
    });
    background.spawn({
        let closing = closing.clone();
        named("scheduling", async move { schedule(&scheduler, &health, &closing).await })
    });
    background.spawn({
        let closing = closing.clone();
        named("reading artifacts back", async move { verifier.run(&closing).await })
    });
    background
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Waits for the end of a task that should run on, by a panic or otherwise; says which. Never returns once `closing`.
async fn unexpected_end(tasks: &mut JoinSet<&'static str>, closing: &CancellationToken) -> String {
    loop {
        match tasks.join_next().await {
            Some(Err(panic)) => return format!("a part of the coordinator has ended: {panic}"),
            Some(Ok(name)) if !closing.is_cancelled() => return format!("{name} has ended"),
            Some(Ok(_)) => {}
            None => std::future::pending().await,
        }
    }
}

/// Schedules, and reports to gRPC health checks whether the database answers.
async fn schedule(scheduler: &Scheduler, health: &HealthReporter, closing: &CancellationToken) {
    let (sender, mut answers) = tokio::sync::watch::channel(true);
    let report = async {
        while answers.changed().await.is_ok() {
            let is_healthy = *answers.borrow_and_update();
            let status = if is_healthy { ServingStatus::Serving } else { ServingStatus::NotServing };
            health.set_service_status("", status).await;
        }
    };
    let schedule = scheduler.run(closing, |healthy| {
        sender.send_if_modified(|before| std::mem::replace(before, healthy) != healthy);
    });
    tokio::select! { () = report => {}, () = schedule => {} }
}

/// Writes the file whole or not at all, because somebody polls for it.
fn announce(file: &Path, announcement: &serde_json::Value) -> Result<(), StartError> {
    let text = format!("{announcement}\n");
    let written = tandem_durable::replace(file, text.as_bytes(), tandem_durable::Mode::Shared);
    written.map_err(|source| StartError::Announce { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_or_ends_ends_the_coordinator_but_not_one_that_was_asked_to() {
        let closing = CancellationToken::new();
        let tasks = |task: fn()| {
            let mut tasks = JoinSet::new();
            tasks.spawn(named("storing heartbeats", async move { task() }));
            tasks.spawn(named("scheduling", std::future::pending()));
            tasks
        };
        let panicked = unexpected_end(&mut tasks(|| panic!("a bug")), &closing).await;
        assert!(
            panicked.starts_with("a part of the coordinator has ended: task ") && panicked.contains("a bug"),
            "{panicked}"
        );
        assert_eq!(unexpected_end(&mut tasks(|| {}), &closing).await, "storing heartbeats has ended");
        assert_eq!(StartError::Background(panicked).exit_code(), 70);

        closing.cancel();
        let mut asked = tasks(|| {});
        let ended = timeout(Duration::from_millis(100), unexpected_end(&mut asked, &closing)).await;
        assert!(ended.is_err(), "{ended:?}");
    }
}

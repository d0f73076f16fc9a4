//! The cluster that faults are done to: Postgres, two coordinators, two workers, a proxy from each worker to each
//! coordinator, and one from each coordinator to Postgres.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_domain::timing::Timing;
use tandem_harness::{
    Binaries, Database, ProcessHandle, Program, announced_address, children, command_line, socket_beside, try_until,
};
use tandem_local_postgres::LocalPostgres;

use crate::{clock, clock::Faketime, disk, log::log, proxy::Proxy, queries, supervisor::Supervisor};

pub(crate) const COORDINATORS: [&str; 2] = ["coordinator-a", "coordinator-b"];
pub(crate) const WORKERS: [&str; 2] = ["left", "right"];
const DATABASE: &str = "tandem";
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const START_LIMIT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A program that was started more often than this while the cluster starts cannot run.
const MOST_STARTS: u32 = 5;
/// Room for every checkpoint and artifact of a few runs.
const STORE_MEBIBYTES: u32 = 512;
const STATE_MEBIBYTES: u32 = 96;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) folder: PathBuf,
    pub(crate) binaries: Binaries,
    pub(crate) timing: Timing,
    /// How the coordinators are broken on purpose.
    pub(crate) broken: Option<String>,
    /// Store and state folders are disks of their own, which can be filled.
    pub(crate) small_disks: bool,
    pub(crate) faketime: Option<Faketime>,
}

pub(crate) struct Cluster {
    // Dropped in this order: programs first, the database last.
    pub(crate) supervisor: Supervisor,
    /// By worker, then coordinator.
    pub(crate) proxies: Vec<Vec<Proxy>>,
    /// By coordinator.
    pub(crate) database_proxies: Vec<Proxy>,
    pub(crate) database: Database,
    postgres: Option<LocalPostgres>,
    pub(crate) options: Options,
    ports: Vec<u16>,
}

impl Cluster {
    /// Starts everything, and waits until both workers are ready and a coordinator leads.
    ///
    /// # Errors
    /// When something cannot be started; logs in the folder say more.
    pub(crate) fn start(options: Options) -> Result<Self> {
        let folder = &options.folder;
        for name in ["store", "data", "logs", "clocks", "announce", "workers"] {
            make_folder(&folder.join(name))?;
        }
        // Started by root, Postgres runs as another user, who must be able to enter its folder.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).context("cannot open the folder to Postgres")?;
        for worker in WORKERS {
            make_folder(&folder.join("workers").join(worker))?;
        }
        if options.small_disks {
            disk::mount_tmpfs(&folder.join("store"), STORE_MEBIBYTES)?;
            for worker in WORKERS {
                disk::mount_tmpfs(&folder.join("workers").join(worker), STATE_MEBIBYTES)?;
            }
        }
        let postgres = LocalPostgres::start(&folder.join("postgres")).context("cannot start the database")?;
        postgres.create_database(DATABASE)?;
        let ports = free_ports(COORDINATORS.len())?;
        let to_all = |_| ports.iter().map(|port| Proxy::to(*port)).collect::<Result<Vec<_>>>();
        let proxies = WORKERS.iter().map(to_all).collect::<Result<Vec<_>>>()?;
        let database_proxies = COORDINATORS.iter().map(|_| Proxy::to(postgres.port())).collect::<Result<Vec<_>>>()?;
        let database = Database::new(&postgres.url(DATABASE), ANSWER_LIMIT)?;
        let supervisor = Supervisor::start()?;
        let cluster =
            Self { supervisor, proxies, database_proxies, database, postgres: Some(postgres), options, ports };
        // One after the other: the first makes the schema.
        for (index, name) in COORDINATORS.into_iter().enumerate() {
            cluster.supervisor.add(cluster.coordinator(index)?);
            cluster.wait(name, |cluster| announced_address(&cluster.announce_of(name)).is_some())?;
        }
        for index in 0..WORKERS.len() {
            cluster.supervisor.add(cluster.worker(index)?);
        }
        cluster.wait("two workers and a leader", |cluster| {
            queries::ready_workers(&cluster.database).is_ok_and(|count| count >= 2)
                && matches!(queries::leader(&cluster.database), Ok(Some(_)))
        })?;
        Ok(cluster)
    }

    fn coordinator(&self, index: usize) -> Result<Program> {
        let name = COORDINATORS[index];
        let postgres = self.postgres.as_ref().context("Postgres does not run")?;
        // By way of its proxy. Postgres keeps its port when it is started again.
        let (own, proxy) = (format!(":{}/", postgres.port()), format!(":{}/", self.database_proxies[index].port()));
        let url = postgres.url(DATABASE).replace(&own, &proxy);
        let (log, announce) = (self.log_of(name), self.announce_of(name));
        let program =
            self.options.binaries.coordinator(name, &log, &self.address(index), &url, &self.store(), &announce);
        let program = program.args(["--name", name, "--timing", self.options.timing.name]);
        let program = match &self.options.broken {
            Some(what) => program.env("TANDEM_BREAK", what),
            None => program,
        };
        self.with_clock(name, program)
    }

    fn worker(&self, index: usize) -> Result<Program> {
        let (name, data) = (WORKERS[index], self.options.folder.join("data"));
        let servers = self.proxies[index].iter().map(Proxy::url).collect::<Vec<_>>().join(",");
        let (binaries, token) =
            (&self.options.binaries, self.options.folder.join("workers").join(format!("{name}.token")));
        if !token.exists() {
            let socket = socket_beside(&self.announce_of(COORDINATORS[0]));
            binaries.make_worker_token(&socket, name, &token)?;
        }
        let program = binaries.worker(name, &self.log_of(name), &servers, &token, &data, &self.state_of(index));
        self.with_clock(name, program.args(["--meet-on", "127.0.0.1"]))
    }

    /// Gives the program a clock of its own, where clocks can be stepped.
    fn with_clock(&self, name: &str, program: Program) -> Result<Program> {
        let Some(faketime) = &self.options.faketime else { return Ok(program) };
        let file = self.clock_of(name);
        clock::set(&file, 0)?;
        Ok(faketime.environment(&file).into_iter().fold(program, |program, (key, value)| program.env(&key, value)))
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.options.folder.join("logs").join(format!("{name}.log"))
    }

    fn announce_of(&self, coordinator: &str) -> PathBuf {
        self.options.folder.join("announce").join(format!("{coordinator}.json"))
    }

    pub(crate) fn clock_of(&self, name: &str) -> PathBuf {
        self.options.folder.join("clocks").join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.options.folder.join("store")
    }

    /// The state folder of a worker.
    pub(crate) fn state_of(&self, worker: usize) -> PathBuf {
        self.options.folder.join("workers").join(WORKERS[worker])
    }

    fn address(&self, coordinator: usize) -> String {
        format!("127.0.0.1:{}", self.ports[coordinator])
    }

    /// The first coordinator, by its socket.
    pub(crate) fn url(&self) -> String {
        format!("unix:{}", socket_beside(&self.announce_of(COORDINATORS[0])).display())
    }

    fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) -> Result<()> {
        let ready = try_until(what, START_LIMIT, POLL_INTERVAL, || {
            let mut names = COORDINATORS.iter().chain(&WORKERS);
            if let Some(name) = names.find(|name| self.supervisor.starts(name) > MOST_STARTS) {
                let log = fs::read_to_string(self.log_of(name)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(5)..].join("\n");
                bail!("{name} ends as soon as it is started; {} says:\n{tail}", self.log_of(name).display());
            }
            Ok(condition(self).then_some(()))
        });
        ready.with_context(|| format!("the cluster in {} does not start", self.options.folder.display()))
    }

    /// Immediate shutdown, as if the machine lost its power.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) fn stop_postgres(&mut self) -> Result<()> {
        let Some(postgres) = &mut self.postgres else { return Ok(()) };
        kill(Pid::from_raw(postgres.pid().cast_signed()), Signal::SIGQUIT).context("cannot stop Postgres")?;
        let what = "Postgres ends after SIGQUIT";
        try_until(what, START_LIMIT, POLL_INTERVAL, || Ok((!postgres.is_running()).then_some(())))?;
        self.postgres = None;
        Ok(())
    }

    /// # Errors
    /// When it cannot be started, or another program has taken its port.
    pub(crate) fn start_postgres(&mut self) -> Result<()> {
        let folder = self.options.folder.join("postgres");
        let postgres = LocalPostgres::start(&folder).context("cannot start Postgres again")?;
        self.database = Database::new(&postgres.url(DATABASE), ANSWER_LIMIT)?;
        self.postgres = Some(postgres);
        log("postgres runs again");
        Ok(())
    }

    /// The database's URL, not through a proxy.
    ///
    /// # Errors
    /// While Postgres is stopped.
    pub(crate) fn database_url(&self) -> Result<String> {
        Ok(self.postgres.as_ref().context("Postgres does not run")?.url(DATABASE))
    }

    /// The postmaster first, so that it starts nothing new, then all that it has started.
    pub(crate) fn postgres_processes(&self) -> Vec<ProcessHandle> {
        let Some(postgres) = &self.postgres else { return Vec::new() };
        let postmaster = postgres.pid().cast_signed();
        std::iter::once(postmaster).chain(children(postmaster)).filter_map(ProcessHandle::of).collect()
    }

    /// The ranks that run, each with the index of its worker.
    pub(crate) fn ranks(&self) -> Vec<(usize, ProcessHandle)> {
        let ranks_of = |index: usize| {
            let worker = self.supervisor.handle(WORKERS[index]);
            let children = worker.map(|worker| children(worker.pid)).unwrap_or_default();
            let ranks = children.into_iter().filter(|pid| command_line(*pid).contains("rank"));
            ranks.filter_map(ProcessHandle::of).map(move |rank| (index, rank))
        };
        (0..WORKERS.len()).flat_map(ranks_of).collect()
    }
}

impl Drop for Cluster {
    /// Unmounts the small disks, or their folders could not be removed.
    fn drop(&mut self) {
        self.supervisor.stop(WORKERS);
        self.supervisor.stop(COORDINATORS);
        if self.options.small_disks {
            (0..WORKERS.len()).for_each(|worker| disk::unmount(&self.state_of(worker)));
            disk::unmount(&self.store());
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// All are held at the same time, so that no two are the same.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port on 127.0.0.1"))
        .collect::<Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

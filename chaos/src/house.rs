//! A whole Tandem that the harness owns: Postgres, two coordinators, two workers, and a wire from each to each.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tandem_domain::timing::Timing;
use tandem_local_postgres::LocalPostgres;

use crate::{clock, clock::Faketime, db::Db, disk, keeper::Keeper, program::Program, proxy::Wire, say::say};

pub(crate) const COORDINATORS: [&str; 2] = ["coordinator-a", "coordinator-b"];
pub(crate) const WORKERS: [&str; 2] = ["left", "right"];
const DATABASE: &str = "tandem";
const READY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Room for every checkpoint and artifact of a few runs: some 20 MB each.
const STORE_MEBIBYTES: u32 = 512;
const STATE_MEBIBYTES: u32 = 96;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) dir: PathBuf,
    pub(crate) tandem: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) worker: PathBuf,
    pub(crate) timing: Timing,
    /// Environment of the coordinators alone: how they are broken on purpose.
    pub(crate) broken: Option<String>,
    /// Store and state folders are disks of their own, which can be filled.
    pub(crate) small_disks: bool,
    pub(crate) faketime: Option<Faketime>,
}

pub(crate) struct House {
    // Programs first, the database last.
    pub(crate) keeper: Keeper,
    /// By worker, then coordinator.
    pub(crate) wires: Vec<Vec<Wire>>,
    pub(crate) db: Db,
    postgres: Option<LocalPostgres>,
    pub(crate) order: Order,
    ports: Vec<u16>,
}

impl House {
    /// Starts everything and waits until workers are there and somebody leads.
    ///
    /// # Errors
    /// When something cannot be started; logs in the folder say more.
    pub(crate) fn start(order: Order) -> Result<Self> {
        for folder in ["store", "data", "logs", "clocks", "announce"] {
            make(&order.dir.join(folder))?;
        }
        // Run by root, Postgres itself is another user, who must reach its folder.
        fs::set_permissions(&order.dir, fs::Permissions::from_mode(0o755))
            .context("cannot open the folder to Postgres")?;
        for worker in WORKERS {
            make(&order.dir.join("workers").join(worker))?;
        }
        if order.small_disks {
            disk::small(&order.dir.join("store"), STORE_MEBIBYTES)?;
            for worker in WORKERS {
                disk::small(&order.dir.join("workers").join(worker), STATE_MEBIBYTES)?;
            }
        }
        let postgres = LocalPostgres::start(&order.dir.join("postgres")).context("cannot start the database")?;
        postgres.create_database(DATABASE)?;
        let ports = free_ports(COORDINATORS.len())?;
        let wire = |coordinator: &u16| Wire::to(*coordinator);
        let wires = WORKERS.map(|_| ports.iter().map(wire).collect::<Result<Vec<_>>>());
        let wires = wires.into_iter().collect::<Result<Vec<_>>>()?;
        let db = Db::at(&postgres.url(DATABASE))?;
        let mut house = Self { keeper: Keeper::start()?, wires, db, postgres: Some(postgres), order, ports };
        // One after the other: the first makes the schema.
        for (index, name) in COORDINATORS.into_iter().enumerate() {
            house.keeper.add(house.coordinator(index)?);
            house.wait(name, |house| house.announced(index))?;
        }
        for index in 0..WORKERS.len() {
            house.keeper.add(house.worker(index)?);
        }
        house.wait("two workers and a leader", |house| {
            let here = "SELECT count(*) FROM workers WHERE session_id IS NOT NULL AND state = 'ready'";
            house.db.one::<i64>(here).is_ok_and(|count| count >= 2) && matches!(house.db.leader(), Ok(Some(_)))
        })?;
        Ok(house)
    }

    fn coordinator(&self, index: usize) -> Result<Program> {
        let (name, dir) = (COORDINATORS[index], &self.order.dir);
        let announce = dir.join("announce").join(format!("{name}.json"));
        let mut args: Vec<std::ffi::OsString> = vec!["--listen".into(), self.address(index).into()];
        args.extend(["--store".into(), dir.join("store").into(), "--announce".into(), announce.into()]);
        args.extend(["--name".into(), name.into(), "--timing".into(), self.order.timing.name.into()]);
        // Not an argument: everybody on the machine may read those, and it holds the password.
        let url = self.postgres.as_ref().map(|postgres| postgres.url(DATABASE)).unwrap_or_default();
        let mut env = self.environment(name)?;
        env.push(("DATABASE_URL".to_owned(), url.into()));
        env.extend(self.order.broken.iter().map(|what| ("TANDEM_BREAK".to_owned(), what.into())));
        let path = self.order.server.clone();
        Ok(Program { name: name.to_owned(), path, args, env, log: self.log(name) })
    }

    fn worker(&self, index: usize) -> Result<Program> {
        let (name, dir) = (WORKERS[index], &self.order.dir);
        let servers = self.wires[index].iter().map(Wire::url).collect::<Vec<_>>().join(",");
        let mut args: Vec<std::ffi::OsString> = vec!["run".into(), "--server".into(), servers.into()];
        args.extend(["--name".into(), name.into(), "--device".into(), "cpu".into()]);
        args.extend(["--data".into(), dir.join("data").into(), "--state".into(), self.state_of(index).into()]);
        args.extend(["--meet-on".into(), "127.0.0.1".into()]);
        let path = self.order.worker.clone();
        Ok(Program { name: name.to_owned(), path, args, env: self.environment(name)?, log: self.log(name) })
    }

    /// A clock of its own, where clocks can be stepped.
    fn environment(&self, name: &str) -> Result<Vec<(String, std::ffi::OsString)>> {
        let Some(faketime) = &self.order.faketime else { return Ok(Vec::new()) };
        let file = self.clock_of(name);
        clock::set(&file, 0)?;
        Ok(faketime.environment(&file))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.order.dir.join("logs").join(format!("{name}.log"))
    }

    pub(crate) fn clock_of(&self, name: &str) -> PathBuf {
        self.order.dir.join("clocks").join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.order.dir.join("store")
    }

    /// The state folder of a worker.
    pub(crate) fn state_of(&self, worker: usize) -> PathBuf {
        self.order.dir.join("workers").join(WORKERS[worker])
    }

    fn address(&self, coordinator: usize) -> String {
        format!("127.0.0.1:{}", self.ports[coordinator])
    }

    /// Past the wires.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address(0))
    }

    fn announced(&self, coordinator: usize) -> bool {
        let file = self.order.dir.join("announce").join(format!("{}.json", COORDINATORS[coordinator]));
        fs::read_to_string(file).is_ok_and(|text| text.contains("http"))
    }

    fn wait(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !condition(self) {
            // A program that ends again and again does so for a reason that its log tells.
            let unfit = COORDINATORS.iter().chain(&WORKERS).find(|name| self.keeper.starts(name) > 5);
            if let Some(unfit) = unfit {
                bail!(
                    "{unfit} ends as soon as it is started; {} says:\n{}",
                    self.log(unfit).display(),
                    self.tail(unfit)
                );
            }
            if Instant::now() > deadline {
                bail!("{what}: not ready after {} s; see {}", READY_WITHIN.as_secs(), self.order.dir.display());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn tail(&self, name: &str) -> String {
        let text = fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// Immediate shutdown, as a machine does that loses its power.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) fn stop_postgres(&mut self) -> Result<()> {
        use nix::{sys::signal, unistd::Pid};
        let Some(postgres) = &mut self.postgres else { return Ok(()) };
        let pid = Pid::from_raw(postgres.pid().cast_signed());
        signal::kill(pid, signal::Signal::SIGQUIT).context("cannot stop Postgres")?;
        let deadline = Instant::now() + READY_WITHIN;
        while postgres.is_running() {
            if Instant::now() > deadline {
                bail!("Postgres did not end after SIGQUIT");
            }
            thread::sleep(LOOK_EVERY);
        }
        self.postgres = None;
        Ok(())
    }

    /// # Errors
    /// When it cannot be started, or another program has taken its port.
    pub(crate) fn start_postgres(&mut self) -> Result<()> {
        let postgres = LocalPostgres::start(&self.order.dir.join("postgres")).context("cannot start Postgres again")?;
        let db = Db::at(&postgres.url(DATABASE))?;
        self.db = db;
        self.postgres = Some(postgres);
        say("postgres runs again");
        Ok(())
    }

    /// Ranks that run, by worker.
    pub(crate) fn ranks(&self) -> BTreeMap<usize, Vec<crate::program::Target>> {
        let of = |index: usize| {
            let worker = self.keeper.target(WORKERS[index])?;
            let ranks = crate::program::ranks_of(worker.pid);
            (!ranks.is_empty()).then_some((index, ranks))
        };
        (0..WORKERS.len()).filter_map(of).collect()
    }
}

impl Drop for House {
    /// A folder with a disk on it cannot be removed.
    fn drop(&mut self) {
        self.keeper.stop(&WORKERS.map(str::to_owned));
        self.keeper.stop(&COORDINATORS.map(str::to_owned));
        if self.order.small_disks {
            (0..WORKERS.len()).for_each(|worker| disk::unmount(&self.state_of(worker)));
            disk::unmount(&self.store());
        }
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// All held at the same time, so that no two are the same.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port on 127.0.0.1"))
        .collect::<Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

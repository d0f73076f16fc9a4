//! `tandem doctor`: what is wrong with this machine, and what to do about it.

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    client::Client,
    doctor::{Check, Folder, Grade, bounded, looks},
    exit::Exit,
    home::{Home, path_or_nothing},
    output::Output,
    render::doctor,
    up::{lock, programs::worker_beside, state::UpState},
};

/// Look at this machine: cards and their driver, libtorch, Postgres, disks, ports, the coordinator
#[derive(Debug, Args)]
#[command(after_help = "\
Each line says what was looked at, how it is, and what to do. Nothing is
changed, and nothing waits for longer than a minute.

Exit codes: 0 all is well; 1 something is to be looked at; 78 something does
not go.

Examples:
  tandem doctor
  tandem doctor --json | jq -r '.checks[] | select(.grade != \"ok\").advice'")]
pub(crate) struct Doctor {
    /// The home of `tandem up` [default: as for tandem up]
    #[arg(long, env = "TANDEM_HOME", value_name = "FOLDER", value_parser = path_or_nothing())]
    dir: Option<PathBuf>,
    /// The store, where it is not in that home
    #[arg(long, env = "TANDEM_STORE", value_name = "FOLDER", value_parser = path_or_nothing())]
    store: Option<PathBuf>,
    /// Try nothing on the cards: takes less time, and none of their memory
    #[arg(long)]
    no_kernels: bool,
}

/// A driver that answers does so in much less.
const DRIVER: Duration = Duration::from_secs(10);
/// libtorch loads a gigabyte, and CUDA makes a context on each card.
const PROBE: Duration = Duration::from_secs(60);
const DISK: Duration = Duration::from_secs(10);
const HOUSE: Duration = Duration::from_secs(15);
/// Where a coordinator listens, unless it is told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7077);

#[derive(Serialize)]
struct Said<'a> {
    worst: Grade,
    checks: &'a [Check],
}

impl Doctor {
    pub(crate) async fn run(self, connect: impl Future<Output = Result<Client>>, output: &Output) -> Result<Exit> {
        let checks = self.look(connect).await?;
        let worst = checks.iter().map(|check| check.grade).max().unwrap_or(Grade::Ok);
        if output.is_json() {
            output.document(&Said { worst, checks: &checks })?;
        } else {
            output.text(&doctor::checks(&checks, output.style()))?;
        }
        Ok(match worst {
            Grade::Ok => Exit::Ok,
            Grade::Warn => Exit::JobFailed,
            Grade::Bad => Exit::Config,
        })
    }

    /// All at once: the slowest says how long it takes.
    async fn look(self, connect: impl Future<Output = Result<Client>>) -> Result<Vec<Check>> {
        let home = Home::at(self.dir.filter(|dir| !dir.as_os_str().is_empty()))?;
        let is_up = lock::holder(&home).is_ok_and(|holder| holder.is_some());
        let state = UpState::read(&home).ok().flatten().filter(|_| is_up);
        let store = self.store.filter(|store| !store.as_os_str().is_empty()).unwrap_or_else(|| home.store());
        let folder = |what, path: PathBuf, is_store| Folder { what, path, is_store };
        let folders = [
            folder("home", home.root().to_owned(), false),
            folder("store", store, true),
            folder("data", state.as_ref().map_or_else(|| home.data(), |state| state.data.clone()), false),
        ];
        let rooms = async {
            let mut checks = Vec::new();
            for folder in folders {
                checks.extend(bounded(folder.what, DISK, move || looks::room(&folder)).await);
            }
            checks
        };
        let probe = async {
            if self.no_kernels {
                return Vec::new();
            }
            bounded("libtorch", PROBE, || looks::probe(worker_beside())).await
        };
        let house = async {
            let asked = timeout(HOUSE, async { looks::house(connect.await).await }).await;
            asked.unwrap_or_else(|_| looks::house_is_slow(HOUSE))
        };
        let postgres = home.postgres();
        let listens = state.as_ref().and_then(|state| state.server.rsplit_once("//")?.1.parse().ok());
        let (cards, kernels, database, rooms, ports, house) = tokio::join!(
            bounded("driver", DRIVER, looks::cards),
            probe,
            bounded("Postgres", DISK, move || looks::postgres(&postgres, is_up)),
            rooms,
            bounded("port", DISK, move || looks::port(listens.unwrap_or(LISTEN), listens.is_some())),
            house,
        );
        Ok([cards, kernels, database, rooms, ports, house].concat())
    }
}

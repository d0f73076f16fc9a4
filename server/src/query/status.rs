//! The state of the cluster at a glance.

use crate::{
    error::Result,
    store::{
        Conn,
        jobs::{self, Counts},
        leader,
        workers::{self, WorkerRow},
    },
};

pub(crate) struct Status {
    pub(crate) workers: Vec<WorkerRow>,
    pub(crate) jobs: Counts,
    /// Name of the coordinator that schedules; empty while there is none.
    pub(crate) leader: String,
}

pub(crate) async fn status(conn: &mut Conn) -> Result<Status> {
    Ok(Status {
        workers: workers::list(conn).await?,
        jobs: jobs::counts(conn).await?,
        leader: leader::name(conn).await?.unwrap_or_default(),
    })
}

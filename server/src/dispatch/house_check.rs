//! A worker's state folder, with what is still to be reported, is of one house: any other refuses it.

use tandem_domain::timing::timing;

use super::{Dispatcher, sessions::Session};
use crate::{
    error::{Error, Result},
    store::{
        house::{self, House},
        within,
        workers::Registration,
    },
};

impl Dispatcher {
    /// Refuses a worker whose state folder is of another house: what it has still to report is that one's.
    pub(crate) async fn check_house(&self, worker: &Registration, session: &Session) -> Result<()> {
        let looked = within(timing().statement_limit(), async {
            let mut conn = self.store.lane.conn().await?;
            let house = house::read(&mut conn).await?;
            // A folder that remembers none is of an earlier version, if this house knows its worker from before.
            let is_others = match session.house.as_str() {
                "" => house::knew_before(&mut conn, worker.id).await?,
                id => id != house.id.to_string(),
            };
            Ok((house, is_others))
        });
        let (house, is_others) = looked.await?;
        if !is_others {
            return Ok(());
        }
        let why = other_house(&house, &worker.name, &session.house);
        tracing::warn!(worker = %worker.id, "refused: {why}");
        Err(Error::Refused(why))
    }
}

fn other_house(house: &House, worker: &str, theirs: &str) -> String {
    let is_former = house.restored_from.is_some_and(|former| former.to_string() == theirs);
    let theirs = match theirs {
        "" => "it was taken by this one before".to_owned(),
        theirs if is_former => format!("its house is {theirs}, which this one was made of"),
        theirs => format!("its house is {theirs}"),
    };
    let this = match (house.restored_at, house.backup_at) {
        (Some(at), Some(of)) => format!(
            "this house is {}, restored on {} from a backup of {}",
            house.id,
            at.format("%F %R UTC"),
            of.format("%F %R UTC")
        ),
        _ => format!("this house is {}", house.id),
    };
    format!(
        "the worker {worker} belongs to another house: {theirs}, and {this}. What it has still to report counts there alone. To have \
         it work here, start it with a new folder (--state) and a new token: tandem token new {worker} --role worker"
    )
}

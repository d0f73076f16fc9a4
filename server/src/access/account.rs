//! Names of the accounts of this box, by their numbers.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::unistd::{Uid, User};
use tokio::{task::spawn_blocking, time::timeout};

/// How long a name is believed: accounts are renamed rarely.
const KEEP: Duration = Duration::from_secs(60);
/// A name service may hang.
const LIMIT: Duration = Duration::from_secs(2);
const KEPT_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Accounts(Mutex<HashMap<u32, (String, Instant)>>);

impl Accounts {
    /// The account's name; its number where it has none, or nobody says in time.
    pub(super) async fn name(&self, uid: u32) -> String {
        let now = Instant::now();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
        if let Some((name, at)) = known
            && now.duration_since(at) < KEEP
        {
            return name;
        }
        let look = spawn_blocking(move || User::from_uid(Uid::from_raw(uid)).ok().flatten());
        let found = timeout(LIMIT, look).await.ok().and_then(Result::ok).flatten();
        let name = found.map_or_else(|| uid.to_string(), |user| user.name);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(uid, (name.clone(), now));
        name
    }
}

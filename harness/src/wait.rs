//! Waiting for a condition, with a deadline. The condition is polled, so no event can be missed.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Polls `condition` every 50 ms until it returns a value. Panics with `what` when `limit` has passed.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    try_until(what, limit, POLL_INTERVAL, || Ok(condition())).unwrap_or_else(|error| panic!("{error}"))
}

/// Polls `condition` every `interval` until it returns a value. Fails with `what` when `limit` has passed, and with the
/// condition's own error at once.
pub fn try_until<T>(
    what: &str,
    limit: Duration,
    interval: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        ensure!(Instant::now() < deadline, "waited {} s in vain: {what}", limit.as_secs_f64());
        thread::sleep(interval);
    }
}

/// As [`until`], in a task.
pub async fn until_async<T>(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", limit.as_secs_f64());
        tokio::time::sleep(POLL_INTERVAL / 5).await;
    }
}

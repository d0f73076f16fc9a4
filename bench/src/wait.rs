use std::time::Duration;

use anyhow::Result;

/// Polls the condition seldom enough not to disturb what is measured.
///
/// # Errors
/// When `limit` has passed; the condition's own error at once.
pub(crate) fn wait_until<T>(what: &str, limit: Duration, condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    tandem_harness::try_until(what, limit, Duration::from_millis(250), condition)
}

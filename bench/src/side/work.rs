use anyhow::Result;
use serde_json::Value;

/// Does so many units of work. Returns their result, or null.
pub(super) type Work = Box<dyn FnMut(u64) -> Result<Value>>;

/// Work of which only the time is of interest.
pub(super) fn timed(mut unit: impl FnMut() -> Result<()> + 'static) -> Work {
    Box::new(move |count| (0..count).try_for_each(|_| unit()).map(|()| Value::Null))
}

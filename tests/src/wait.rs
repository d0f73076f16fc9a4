use std::time::{Duration, Instant};

/// Asks `condition` until it answers or the deadline passes; polls, so that a missed edge cannot hang a test.
///
/// # Panics
/// With `what` when the deadline passes.
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

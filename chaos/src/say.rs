//! Progress on stderr, with the seconds since the start.

use std::{sync::LazyLock, time::Instant};

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) fn say(message: &str) {
    eprintln!("[{:7.1} s] {message}", BEGAN.elapsed().as_secs_f64());
}

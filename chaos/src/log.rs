//! Progress on stderr, with the seconds since the first message.

use std::{sync::LazyLock, time::Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) fn log(message: &str) {
    eprintln!("[{:7.1} s] {message}", START.elapsed().as_secs_f64());
}

//! Which start of which box this is: the number of an account means the same account there, and nowhere else.

use std::{fs, sync::LazyLock};

static START: LazyLock<String> = LazyLock::new(|| {
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{host} {}", boot.trim())
});

pub(super) fn start() -> &'static str {
    &START
}

//! No core file of a process that has a token in its memory.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Where it cannot be forbidden, nothing is lost but this caution.
pub(crate) fn forbid() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, most);
    }
}

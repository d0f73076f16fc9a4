//! Which start of which box this is: the number of an account means the same account there, and nowhere else.

use std::{fs, sync::LazyLock};

use tandem_domain::access::{Identity, identity::Person};

use crate::{listen::peer::Peer, store::sessions::Holder};

static START: LazyLock<String> = LazyLock::new(|| {
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{host} {}", boot.trim())
});

pub(super) fn start() -> &'static str {
    &START
}

/// What a session or a code of this caller stands for; `None` for who is no person.
pub(crate) fn holder(identity: &Identity, peer: Peer) -> Option<Holder> {
    match (identity, peer) {
        (Identity::Person(Person { token: Some(id), .. }), _) => Some(Holder::Token(id.clone())),
        (Identity::Person(_), Peer::Socket { uid, .. }) => Some(Holder::Account { uid, host: start().to_owned() }),
        _ => None,
    }
}

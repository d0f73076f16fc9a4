//! Where a worker reaches the coordinator that a command talks to, and whom it trusts there: a worker has no socket.

use anyhow::{Error, Result};
use tandem_connect::{Address, JoinFile};

use crate::{
    exit::{Exit, Failure},
    home,
    target::Target,
    up::{announced::Announcement, lock, state::UpState, worker_tokens},
};

/// A join file without its token.
pub(crate) async fn find(target: &Target) -> Result<JoinFile> {
    let Some(socket) = target.servers.iter().find_map(Address::socket) else {
        return Ok(JoinFile { servers: target.servers.clone(), house: target.house.clone(), token: None });
    };
    let state = match home::from_environment().0 {
        Some(home) if lock::holder(&home)?.is_some() => UpState::read(&home)?,
        _ => None,
    };
    match state.filter(|state| state.socket.as_deref() == Some(socket)) {
        Some(UpState { server, fingerprint, .. }) => {
            worker_tokens::way(&Announcement { address: server, socket: None, fingerprint }).await
        }
        None => Err(no_way()),
    }
}

fn no_way() -> Error {
    Failure::error(
        Exit::Usage,
        "cannot tell where a worker reaches this coordinator, which was asked by its socket: name its address with --server or \
         --context, or make a bare token without --join and let `tandem join URL FINGERPRINT --out FILE` do the rest",
    )
}

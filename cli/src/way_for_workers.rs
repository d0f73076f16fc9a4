//! Where a worker reaches the coordinator that a command talks to, and whom it trusts there: a worker has no socket.

use anyhow::{Error, Result};
use tandem_connect::{Address, JoinFile};

use crate::{
    exit::{Exit, Failure},
    home,
    target::Target,
    up::{
        announced::Announcement,
        lock,
        state::{UpState, from_afar},
        worker_tokens,
    },
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
            let way = worker_tokens::way(&Announcement { address: server, socket: None, fingerprint }).await?;
            Ok(for_other_machines(way))
        }
        None => Err(no_way()),
    }
}

/// The certificate was looked at where this machine listens; the worker may be on another.
fn for_other_machines(way: JoinFile) -> JoinFile {
    let servers = way.servers.into_iter().map(from_afar).collect();
    JoinFile { servers, ..way }
}

fn no_way() -> Error {
    Failure::error(
        Exit::Usage,
        "cannot tell where a worker reaches this coordinator, which was asked by its socket: name its address with --server or \
         --context, or make a bare token without --join and let `tandem join URL FINGERPRINT --out FILE` do the rest",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_told_a_host_that_it_can_reach() {
        let server = |text: &str| {
            let way = JoinFile { servers: vec![text.parse().unwrap()], house: None, token: None };
            for_other_machines(way).servers[0].to_string()
        };
        for everywhere in ["https://0.0.0.0:7077", "https://[::]:7077"] {
            let told = server(everywhere);
            assert!(told.ends_with(":7077") && !told.contains("0.0.0.0") && !told.contains("::]"), "{told}");
        }
        assert_eq!(server("https://10.0.0.1:7077"), "https://10.0.0.1:7077");
        assert_eq!(server("http://127.0.0.1:7077"), "http://127.0.0.1:7077");
    }
}

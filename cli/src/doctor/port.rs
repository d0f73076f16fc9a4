//! The port that a coordinator would listen on.

use std::{io, net::SocketAddr};

use super::check::Check;

const PORT: &str = "port";

/// `ours`: a coordinator of this home listens already.
pub(crate) fn look(address: SocketAddr, ours: bool) -> Vec<Check> {
    vec![judge(address, ours, std::net::TcpListener::bind(address).map(drop))]
}

fn judge(address: SocketAddr, ours: bool, bound: io::Result<()>) -> Check {
    match bound {
        _ if ours => Check::ok(PORT, format!("{address} is this home's coordinator")),
        Ok(()) => Check::ok(PORT, format!("{address} is free for a coordinator")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Check::warn(
            PORT,
            format!("{address} is taken by another program"),
            format!(
                "`ss -ltnp 'sport = :{}'` says which; `tandem up --listen 127.0.0.1:0` takes any free port",
                address.port()
            ),
        ),
        Err(error) => {
            Check::warn(PORT, format!("cannot listen on {address}: {error}"), "say another: tandem up --listen")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Grade, *};

    #[test]
    fn a_port_is_free_ours_or_somebody_elses() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let check = look(address, false).remove(0);
        assert!(check.grade == Grade::Warn && check.advice.contains("--listen 127.0.0.1:0"), "{check:?}");
        assert_eq!(look(address, true)[0].grade, Grade::Ok);
        drop(taken);
        assert!(look(address, false)[0].found.contains("is free"));
    }
}

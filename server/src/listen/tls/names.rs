//! The names and addresses that a coordinator's certificate is for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustls::pki_types::ServerName;

use super::error::TlsError;

/// In every certificate of a house: who has its fingerprint reaches it by any name, through a tunnel or a gateway.
pub(super) const INTERNAL: &str = "tandem.internal";

/// Each once, [`INTERNAL`] first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// Of a coordinator on this host that listens on `listen`.
    pub(crate) fn here(listen: SocketAddr) -> Self {
        let mut names = Self::local();
        let host = hostname();
        if is_name(&host) {
            names.add(host);
        }
        if !listen.ip().is_unspecified() {
            names.add(listen.ip().to_canonical().to_string());
        }
        names
    }

    /// Of a coordinator somewhere else.
    ///
    /// # Errors
    /// Names the first that cannot stand in a certificate.
    pub(crate) fn of(hosts: &[String]) -> Result<Self, TlsError> {
        let mut names = Self::local();
        for host in hosts {
            if !is_name(host) {
                return Err(TlsError::Name { name: host.clone() });
            }
            names.add(host.to_ascii_lowercase());
        }
        Ok(names)
    }

    fn local() -> Self {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let mut names = Self(vec![INTERNAL.to_owned(), "localhost".to_owned()]);
        loopback.into_iter().for_each(|address| names.add(address.to_string()));
        names
    }

    fn add(&mut self, name: String) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    pub(super) fn all(&self) -> &[String] {
        &self.0
    }
}

/// This host's own name; empty where it has none.
pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase()
}

fn is_name(host: &str) -> bool {
    ServerName::try_from(host).is_ok() && host.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_the_house_the_host_and_the_address_that_is_listened_on() {
        let names = Names::here("10.1.2.3:7077".parse().unwrap());
        let all: Vec<&str> = names.all().iter().map(String::as_str).collect();
        assert_eq!(all[..4], [INTERNAL, "localhost", "127.0.0.1", "::1"]);
        assert_eq!(all.last(), Some(&"10.1.2.3"));
        let everywhere = Names::here("0.0.0.0:7077".parse().unwrap());
        assert!(!everywhere.all().iter().any(|name| name == "0.0.0.0"));

        let names = Names::of(&["Box2".to_owned(), "localhost".to_owned(), "10.0.0.7".to_owned()]).unwrap();
        assert_eq!(names.all()[4..], ["box2".to_owned(), "10.0.0.7".to_owned()]);
        for wrong in ["", "a b", "https://box", "bö"] {
            assert!(Names::of(&[wrong.to_owned()]).unwrap_err().to_string().contains("neither a name"), "{wrong}");
        }
    }
}

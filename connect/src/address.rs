//! Where a coordinator listens: `https://HOST:PORT`, `http://HOST:PORT` or `unix:/PATH`.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The longest path of a Unix socket, by the kernel.
pub const SOCKET_PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// The longest name of a host, by DNS.
const NAME_MAX: usize = 253;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Https(HostPort),
    Http(HostPort),
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// `None` for a socket.
    pub fn host_port(&self) -> Option<&HostPort> {
        match self {
            Self::Https(at) | Self::Http(at) => Some(at),
            Self::Unix(_) => None,
        }
    }

    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            Self::Https(_) | Self::Http(_) => None,
        }
    }

    /// Whether what is sent there could be read on the way.
    ///
    /// # Errors
    /// Says so, and what to do.
    pub fn check_may_carry_token(&self) -> Result<(), String> {
        match self {
            Self::Http(at) if !at.is_loopback() => Err(format!(
                "a token is not sent to {self}: over plain http everybody on the way could read it. Use \
                 https://{at} (`tandem join https://{at} FINGERPRINT`), or a tunnel (`ssh -L {port}:127.0.0.1:{port} {host}`)",
                port = at.port,
                host = at.host,
            )),
            Self::Https(_) | Self::Http(_) | Self::Unix(_) => Ok(()),
        }
    }
}

impl HostPort {
    /// Whether it is this machine, whatever its network is.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Stricter than the HTTP client, which takes more than one host may be read out of.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.strip_suffix('/').unwrap_or(text).rsplit_once(':')?;
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|ip| ip.parse::<Ipv6Addr>().is_ok())?,
            None => Some(host).filter(|name| is_name(name))?,
        };
        (port != 0).then(|| Self { host: host.to_ascii_lowercase(), port })
    }
}

/// Of a host, or an IPv4 address.
fn is_name(text: &str) -> bool {
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.len() <= NAME_MAX && text.bytes().all(is_of_names)
}

impl FromStr for Address {
    type Err = String;

    /// `HOST:PORT` alone means plain http on this machine, and TLS beyond it.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            return socket(path);
        }
        let expected = || {
            format!("`{text}` is no coordinator address: expected https://HOST:PORT, http://HOST:PORT or unix:/PATH")
        };
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let at = HostPort::parse(rest).ok_or_else(expected)?;
        match scheme {
            Some("https") => Ok(Self::Https(at)),
            Some("http") => Ok(Self::Http(at)),
            None if at.is_loopback() => Ok(Self::Http(at)),
            None => Ok(Self::Https(at)),
            Some(_) => Err(expected()),
        }
    }
}

fn socket(text: &str) -> Result<Address, String> {
    // `unix:///path` means the same as `unix:/path`.
    let path = text.strip_prefix("//").unwrap_or(text);
    if !path.starts_with('/') || path.contains(char::is_control) {
        return Err(format!("`unix:{text}` is no coordinator address: expected unix:/PATH"));
    }
    // One slash in front: it is printed so that it is read as the same.
    let path = format!("/{}", path.trim_start_matches('/'));
    if path.len() > SOCKET_PATH_MAX {
        return Err(format!(
            "the path of a socket has at most {SOCKET_PATH_MAX} bytes, and {path} has {}: use a shorter one",
            path.len()
        ));
    }
    Ok(Address::Unix(path.into()))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(at) => write!(f, "https://{at}"),
            Self::Http(at) => write!(f, "http://{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().unwrap().to_string()
    }

    #[test]
    fn without_a_scheme_only_this_machine_is_plain() {
        assert_eq!(shown("box:7077"), "https://box:7077");
        for here in ["localhost:7077", "127.0.0.1:7077", "127.8.8.8:1", "[::1]:7077"] {
            assert_eq!(shown(here), format!("http://{here}"));
        }
        assert_eq!(shown(" http://Box:7077/ "), "http://box:7077");
        assert_eq!(shown("https://[2001:db8::1]:7077"), "https://[2001:db8::1]:7077");
        assert_eq!(shown("unix:/run/tandem/tandem.sock"), "unix:/run/tandem/tandem.sock");
        assert_eq!(shown("unix:///tmp/t.sock"), "unix:/tmp/t.sock");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is() {
        for wrong in [
            "",
            "box",
            "https://box",
            "http://",
            "ftp://box:21",
            "box:0",
            "box:99999",
            "http://a@box:1",
            "http://box:1/x",
            "http://box:1?x",
            "http://box:+1",
            "unix:relative",
            "unix:/a\nb",
            "a b:1",
            // The HTTP client would take these, and ask another host than the one that was judged.
            "~[k:4]k:4",
            "[::1]box:1",
            "[box]:1",
            "::1:1",
        ] {
            let error = wrong.parse::<Address>().unwrap_err();
            assert!(error.contains("is no coordinator address: expected") && error.contains(wrong), "{error}");
        }
        let long = format!("unix:/{}", "x".repeat(SOCKET_PATH_MAX));
        assert!(long.parse::<Address>().unwrap_err().contains(&format!("at most {SOCKET_PATH_MAX} bytes")));
    }

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        for text in ["BOX:07077", "https://[2001:DB8::1]:7077/", "unix:////run/t.sock", "unix:/run//t.sock"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string().parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        let check = |text: &str| text.parse::<Address>().unwrap().check_may_carry_token();
        for safe in ["https://box:7077", "http://127.0.0.1:7077", "http://localhost:1", "unix:/t.sock"] {
            assert_eq!(check(safe), Ok(()), "{safe}");
        }
        let refused = check("http://box:7077").unwrap_err();
        assert!(refused.contains("https://box:7077") && refused.contains("ssh -L 7077"), "{refused}");
        assert!(check("http://127.0.0.1.example.org:7077").is_err() && check("http://0.0.0.0:7077").is_err());
    }
}

//! Where a coordinator listens: `https://HOST:PORT`, `http://HOST:PORT` or `unix:/PATH`.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use tonic::transport::Uri;

/// The longest path of a Unix socket, by the kernel.
pub const SOCKET_PATH_MAX: usize = 107;

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

    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = format!("http://{text}").parse().ok()?;
        let authority = uri.authority()?;
        let is_bare = !authority.as_str().contains('@') && matches!(uri.path(), "" | "/") && uri.query().is_none();
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().filter(|port| *port != 0)?;
        (is_bare && !host.is_empty()).then(|| Self { host: host.to_ascii_lowercase(), port })
    }
}

impl FromStr for Address {
    type Err = String;

    /// `HOST:PORT` alone means plain http on this machine, and TLS beyond it.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///path` means the same.
            let path = if let Some(rest) = path.strip_prefix("//") { rest } else { path };
            return socket(Path::new(path));
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

fn socket(path: &Path) -> Result<Address, String> {
    if !path.is_absolute() {
        return Err(format!("`unix:{}` is no coordinator address: expected unix:/PATH", path.display()));
    }
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_MAX {
        return Err(format!(
            "the path of a socket has at most {SOCKET_PATH_MAX} bytes, and {} has {length}: use a shorter one",
            path.display()
        ));
    }
    Ok(Address::Unix(path.to_owned()))
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
            "unix:relative",
            "a b:1",
        ] {
            let error = wrong.parse::<Address>().unwrap_err();
            assert!(error.contains("is no coordinator address: expected") && error.contains(wrong), "{error}");
        }
        let long = format!("unix:/{}", "x".repeat(SOCKET_PATH_MAX));
        assert!(long.parse::<Address>().unwrap_err().contains("at most 107 bytes"));
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

//! Where a webhook may go: the address as written, and each that its name stands for.
//!
//! Who may have messages sent has the coordinator connect to what they like, from inside. So it never connects to itself, to its
//! own machine, or to what only machines of one network see of each other; whoever starts it may allow some of that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

const URL_BYTES_MAX: usize = 1000;
const MAIL_BYTES_MAX: usize = 254;

/// What is asked of a webhook's address, read as browsers read it: `http://0x7f.1/` is `http://127.0.0.1/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// As it is kept: without what stands behind `#`.
    pub url: String,
    pub is_https: bool,
    pub host: Host<String>,
    pub port: u16,
    /// Path and query, as in a request.
    pub path: String,
}

impl Webhook {
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no address for a webhook: {why}"));
        if text.len() > URL_BYTES_MAX {
            return Err(format!("an address of {} bytes is no address for a webhook; 1000 at most", text.len()));
        }
        if text.chars().any(|char| char.is_control() || char.is_whitespace()) {
            return wrong("it holds spaces or control characters");
        }
        let mut url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return wrong(&format!("{error}; expected https://HOST/PATH")),
        };
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return wrong("expected https://.. or http://.."),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("it holds a name or a password; a receiver tells us by the signature instead");
        }
        url.set_fragment(None);
        let (Some(host), Some(port)) = (url.host().map(|host| host.to_owned()), url.port_or_known_default()) else {
            return wrong("it names no host");
        };
        if port == 0 {
            return wrong("nobody listens on port 0");
        }
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { url: url.to_string(), is_https, host, port, path })
    }

    /// As the header `Host` has it.
    pub fn authority(&self) -> String {
        let default = if self.is_https { 443 } else { 80 };
        if self.port == default { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What whoever starts the coordinator allows beside the rule: a host by its name, or addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    Host(String),
    Net(IpNet),
}

impl Allowed {
    /// # Errors
    /// Says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net));
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Self::Net(IpNet::from(ip)));
        }
        match Host::parse(text) {
            Ok(Host::Domain(name)) => Ok(Self::Host(name)),
            // Such as 0x7f.1: who writes so is mistaken, or tries something.
            _ => Err(format!("{text:?}: expected the name of a host, or addresses as in 127.0.0.1 or 10.0.0.0/8")),
        }
    }
}

/// What holds for every webhook of a coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub allowed: Vec<Allowed>,
    /// Addresses of private networks are refused, too.
    pub only_public: bool,
    /// The addresses of this machine's interfaces.
    pub own: Vec<IpAddr>,
}

/// Whether a connection to `ip` may be made, as `host` stands for it.
///
/// `is_own`: it is this coordinator's own port.
///
/// # Errors
/// Why not.
pub fn judge(host: &Host<String>, ip: IpAddr, is_own: bool, rules: &Rules) -> Result<(), String> {
    let ip = plain(ip);
    if is_own {
        return Err(format!("{ip} is this coordinator itself"));
    }
    let is_allowed = rules.allowed.iter().any(|allowed| match (allowed, host) {
        (Allowed::Host(name), Host::Domain(host)) => name == host,
        (Allowed::Net(net), _) => net.contains(&ip),
        (Allowed::Host(_), _) => false,
    });
    if is_allowed {
        return Ok(());
    }
    let here = rules.own.iter().any(|own| plain(*own) == ip).then_some("this machine itself");
    match inside(ip).or(here).or_else(|| private(ip).filter(|_| rules.only_public)) {
        Some(what) => Err(format!(
            "{ip} is {what}, where no webhook goes unless the coordinator is started with --allow-webhooks-to {ip}"
        )),
        None => Ok(()),
    }
}

/// The address that an IPv6 address leads to that only wraps one of IPv4.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let octets = v6.octets();
    let four = |at: usize| IpAddr::V4(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]));
    match v6.segments() {
        // ::1 and :: are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => ip,
        // Mapped, compatible (RFC 4291), translated (RFC 2765), and by NAT64 (RFC 6052, RFC 8215).
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => four(12),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, ..] => four(12),
        // 6to4.
        [0x2002, ..] => four(2),
        _ => ip,
    }
}

/// What nobody outside sees, and what is nobody's.
fn inside(ip: IpAddr) -> Option<&'static str> {
    const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
    const METADATA_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match ip {
        IpAddr::V4(v4) => match v4.octets() {
            [127, ..] => Some("this machine itself"),
            [0, ..] => Some("no address"),
            [169, 254, ..] => Some("a link-local address, as metadata services have"),
            _ if METADATA.contains(&v4) => Some("a metadata service"),
            [224..=239, ..] => Some("a multicast address"),
            [240..=255, ..] => Some("a reserved address"),
            _ => None,
        },
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine itself"),
            [0, 0, 0, 0, 0, 0, 0, 0] => Some("no address"),
            [0xfe80..=0xfebf, ..] => Some("a link-local address"),
            _ if v6 == METADATA_6 => Some("a metadata service"),
            [0xff00..=0xffff, ..] => Some("a multicast address"),
            // Teredo and 6to4's relatives: they hide where they lead to.
            [0x2001, 0, ..] => Some("an address of a tunnel"),
            _ => None,
        },
    }
}

fn private(ip: IpAddr) -> Option<&'static str> {
    let is_private = match ip {
        IpAddr::V4(v4) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => matches!(v6.segments()[0], 0xfc00..=0xfdff | 0xfec0..=0xfeff),
    };
    is_private.then_some("an address of a private network")
}

/// Checks an address of mail: one that stands in a header and in a command of SMTP.
///
/// # Errors
/// Says what is expected.
pub fn check_mail(text: &str) -> Result<(), String> {
    let is_right = text.len() <= MAIL_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&byte))
        && text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && !user.starts_with('-')
                && !host.contains('@')
                && !host.is_empty()
                && !host.starts_with(['.', '-'])
        });
    if is_right {
        Ok(())
    } else {
        Err(format!("{text:?} is no address of mail; expected NAME@HOST, in ASCII, without quotes or spaces"))
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;

//! How a client begins: what its first bytes speak, and when the head of its first request is there.

/// The first byte of a TLS record with a handshake in it.
const TLS: u8 = 0x16;
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// With so many bytes HTTP/2 is told from a request of HTTP/1: no method begins like that.
const TELLING: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Tls,
    Http1,
    Http2,
    /// Nothing that is known here.
    Unknown,
}

/// What the first bytes speak; `None` while they are too few.
pub(super) fn speaks(first: &[u8]) -> Option<Speaks> {
    match first {
        [] => None,
        [TLS, ..] => Some(Speaks::Tls),
        [byte, ..] if !byte.is_ascii_uppercase() => Some(Speaks::Unknown),
        _ if HTTP2.starts_with(&first[..first.len().min(TELLING)]) => (first.len() >= TELLING).then_some(Speaks::Http2),
        _ => Some(Speaks::Http1),
    }
}

/// Waits for the head of the first request: with HTTP/1 up to the empty line, with HTTP/2 the preface; from there on pings
/// find out whether the client is there.
#[derive(Debug, Default)]
pub(super) struct Head {
    received: usize,
    first: [u8; TELLING],
    /// Ends of lines with nothing between.
    ends: u8,
}

impl Head {
    /// Whether anything was received before.
    pub(super) fn has_begun(&self) -> bool {
        self.received > 0
    }

    /// Takes what was received; whether the head is there now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| {
            if let Some(place) = self.first.get_mut(self.received) {
                *place = byte;
            }
            self.received += 1;
            self.ends = match byte {
                b'\n' => self.ends + 1,
                b'\r' => self.ends,
                _ => 0,
            };
            if self.first == HTTP2[..TELLING] { self.received >= HTTP2.len() } else { self.ends == 2 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        for (first, spoken) in [
            (&b"\x16\x03\x01"[..], Some(Speaks::Tls)),
            (b"GET / HTTP/1.1", Some(Speaks::Http1)),
            (b"PR", None),
            (b"PRI * HTTP/2.0", Some(Speaks::Http2)),
            (b"PROPFIND /", Some(Speaks::Http1)),
            (b"PO", Some(Speaks::Http1)),
            (b"", None),
            (b"SSH-2.0", Some(Speaks::Http1)),
            (b"\0\0", Some(Speaks::Unknown)),
        ] {
            assert_eq!(speaks(first), spoken, "{first:?}");
        }
    }

    #[test]
    fn a_head_is_there_with_its_last_byte_and_not_before() {
        for whole in [HTTP2, b"GET / HTTP/1.1\r\nhost: box\r\n\r\n", b"GET / HTTP/1.1\nhost: box\n\n"] {
            let mut head = Head::default();
            assert!(!head.has_begun());
            for (at, byte) in whole.iter().enumerate() {
                assert_eq!(head.take(&[*byte]), at + 1 == whole.len(), "{at} of {whole:?}");
            }
            assert!(head.has_begun() && Head::default().take(whole));
        }
    }
}

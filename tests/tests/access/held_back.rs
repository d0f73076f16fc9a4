//! A call that is begun while its token is good, and said to its end when it is not: frame by frame, as no client library does.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result};
use tandem_harness::Cluster;

use crate::{MINUTE, assert_done};

/// Frames of HTTP/2, and flags of theirs.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One connection with one call.
struct Connection(TcpStream);

impl Connection {
    /// Asks for a new token, and holds back what it is to be called.
    fn begin(authority: &str, token: &str) -> Result<Self> {
        let mut connection = Self(TcpStream::connect(authority)?);
        connection.0.set_read_timeout(Some(MINUTE))?;
        connection.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        connection.send(SETTINGS, 0, 0, &[])?;
        let authorization = format!("Bearer {token}");
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/tandem.v1.People/NewToken"),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("authorization", &authorization),
        ];
        // Literal, never indexed; each length in one byte.
        let literal = |text: &str| Ok::<_, anyhow::Error>([&[u8::try_from(text.len())?], text.as_bytes()].concat());
        let mut block = Vec::new();
        for (name, value) in fields {
            block.extend([vec![0x10], literal(name)?, literal(value)?].concat());
        }
        connection.send(HEADERS, END_HEADERS, 1, &block)?;
        // Acknowledged once all before it has been read.
        connection.send(PING, 0, 0, &[0; 8])?;
        while connection.receive()?.context("the connection ended")?.0 != PING {}
        Ok(connection)
    }

    /// Says the rest: a message whose first field is `name`. Returns all that comes as an answer.
    fn finish(mut self, name: &str) -> Result<Vec<u8>> {
        let message = [&[0x0a, u8::try_from(name.len())?], name.as_bytes()].concat();
        let length = u32::try_from(message.len())?.to_be_bytes();
        let mut answer = Vec::new();
        // Refused, where the call was ended meanwhile.
        if self.send(DATA, END_STREAM, 1, &[&[0], &length[..], &message].concat()).is_err() {
            return Ok(answer);
        }
        while let Ok(Some((kind, flags, payload))) = self.receive() {
            if kind == DATA || kind == HEADERS {
                answer.extend(payload);
            }
            let is_over = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
            if is_over || kind == GOAWAY || kind == RESET {
                break;
            }
        }
        Ok(answer)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())?.to_be_bytes();
        let frame = [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat();
        Ok(self.0.write_all(&frame)?)
    }

    /// Kind, flags and payload of the next frame; `None` at the end.
    fn receive(&mut self) -> Result<Option<(u8, u8, Vec<u8>)>> {
        let mut head = [0; 9];
        if self.0.read_exact(&mut head).is_err() {
            return Ok(None);
        }
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c]))?];
        self.0.read_exact(&mut payload)?;
        Ok(Some((kind, flags, payload)))
    }
}

#[test]
fn a_call_that_is_held_back_until_its_token_is_revoked_does_nothing() -> Result<()> {
    let cluster = Cluster::start(0)?;
    let up: serde_json::Value = serde_json::from_slice(&std::fs::read(cluster.folder().join("up.json"))?)?;
    let authority = up["server"].as_str().and_then(|url| url.strip_prefix("http://")).context("no address")?.to_owned();
    assert_done(&cluster.tandem(&["user", "add", "ann", "--role", "admin"], ""));
    let token = |name: &str| cluster.json(&["token", "new", name, "--user", "ann"]);
    let (good, leaked) = (token("good")?, token("leaked")?);
    let secret = |token: &serde_json::Value| token["secret"].as_str().map(str::to_owned).context("no secret");
    let calls = [Connection::begin(&authority, &secret(&good)?)?, Connection::begin(&authority, &secret(&leaked)?)?];
    assert_done(&cluster.tandem(&["token", "revoke", leaked["token"]["id"].as_str().context("no id")?], ""));
    let [by_good, by_leaked] = calls;
    let has_token = |answer: &[u8]| answer.windows(4).any(|part| part == b"tdm_");
    assert!(has_token(&by_good.finish("by-good")?), "one who may is answered, however long it takes");
    assert!(!has_token(&by_leaked.finish("by-leaked")?));
    let names = cluster.tandem(&["token", "list", "--all"], "").stdout;
    assert!(names.contains("by-good") && !names.contains("by-leaked"), "{names}");
    Ok(())
}

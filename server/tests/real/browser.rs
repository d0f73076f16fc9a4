//! A browser without a screen: HTTP/1.1 by hand, with cookies.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::LIMIT;

pub(crate) struct Browser {
    address: String,
    pub(crate) cookies: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) code: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) bytes: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl Browser {
    /// At a coordinator without TLS.
    pub(crate) fn at(address: &str) -> Self {
        Self { address: address.trim_start_matches("http://").to_owned(), cookies: BTreeMap::new() }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.ask("GET", path, &[("accept", "text/html")], "").await
    }

    /// A form of a page of this port.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let origin = self.origin();
        self.post_from(&[("origin", &origin)], path, fields).await
    }

    pub(crate) async fn post_from(&mut self, headers: &[(&str, &str)], path: &str, fields: &[(&str, &str)]) -> Seen {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.ask("POST", path, &all, &form).await
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Seen {
        let mut stream = self.send(method, path, headers, body).await;
        let mut answer = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("no answer").unwrap();
        let at = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("no head");
        let head = String::from_utf8(answer[..at].to_vec()).unwrap();
        let mut lines = head.lines();
        let code = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
            .collect();
        for (_, cookie) in headers.iter().filter(|(key, _)| key == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let rest = &answer[at + 4..];
        Seen { code, headers, bytes: rest.len(), body: String::from_utf8_lossy(rest).into_owned() }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head.push_str(&format!("cookie: {}\r\n", cookies.join("; ")));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// The stream of changes that a page names.
    pub(crate) async fn live(&mut self, page: &Seen) -> Live {
        let path = page.body.split("data-live=\"").nth(1).unwrap().split('"').next().unwrap();
        let path = path.replace("&#38;", "&").replace("&amp;", "&");
        let stream = self.send("GET", &path, &[("accept", "text/event-stream")], "").await;
        Live { stream, text: String::new() }
    }
}

pub(crate) struct Live {
    stream: TcpStream,
    pub(crate) text: String,
}

impl Live {
    /// Reads on until `is_there`, or until the end; whether it is there.
    pub(crate) async fn until(&mut self, is_there: impl Fn(&str) -> bool) -> bool {
        let read = async {
            let mut bytes = [0; 64 * 1024];
            while !is_there(&self.text) {
                match self.stream.read(&mut bytes).await {
                    Ok(0) | Err(_) => return false,
                    Ok(count) => self.text.push_str(&String::from_utf8_lossy(&bytes[..count])),
                }
            }
            true
        };
        timeout(LIMIT, read).await.expect("nothing is told")
    }

    /// Whether it ends within this time.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> bool {
        timeout(time, self.until(|_| false)).await.is_ok()
    }
}

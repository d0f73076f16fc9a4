//! A receiver of webhooks that answers as it is told, and keeps what it got.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// What it answers with; `None`: nothing, for ever.
type Answer = Option<&'static str>;

pub(super) struct Receiver {
    pub(super) port: u16,
    got: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Answer>>,
}

pub(super) const OK: Answer = Some("HTTP/1.1 204 No Content\r\n\r\n");
pub(super) const BROKEN: Answer = Some("HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n");

impl Receiver {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(answer));
        tokio::spawn(serve(listener, got.clone(), answer.clone()));
        Self { port, got, answer }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Whole requests.
    pub(super) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, got: Arc<Mutex<Vec<String>>>, answer: Arc<Mutex<Answer>>) {
    let mut held = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !is_whole(&request) {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => request.extend_from_slice(&piece[..length]),
            }
        }
        got.lock().unwrap().push(String::from_utf8(request).unwrap());
        let answer = *answer.lock().unwrap();
        match answer {
            Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
            None => held.push(stream),
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

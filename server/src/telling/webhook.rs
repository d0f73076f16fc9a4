//! One request to a webhook: what it says, how it is signed, and what the answer means.

use std::pin::pin;

use hmac::{Hmac, Mac};
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tandem_domain::telling::{address::Webhook, retry::Tried};
use tokio_util::bytes::Bytes;

use super::dial::Dialler;

/// The largest head of an answer; its body is not read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// `t=TIME,v1=HEX`: HMAC-SHA256, by the target's secret, over time, a dot and the body.
fn signature(secret: &str, seconds: i64, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| format!("cannot sign: {error}"))?;
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t={seconds},v1={hex}"))
}

/// Sends the body and says how that went. `event` goes into a header, so that a receiver need not parse what it has seen.
pub(super) async fn send(dialler: &Dialler, url: &str, secret: &str, event: &str, body: &[u8], seconds: i64) -> Tried {
    match post(dialler, url, secret, event, body, seconds).await {
        Ok(status) => meaning(status),
        Err(why) => Tried::Failed(why),
    }
}

async fn post(
    dialler: &Dialler,
    url: &str,
    secret: &str,
    event: &str,
    body: &[u8],
    seconds: i64,
) -> Result<StatusCode, String> {
    let hook = Webhook::parse(url)?;
    let request = Request::post(&hook.path)
        .header(HOST, hook.authority())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .header("tandem-event", event)
        .header("tandem-signature", signature(secret, seconds, body)?)
        .body(Full::new(Bytes::copy_from_slice(body)))
        .map_err(|error| format!("cannot make a request of {url:?}: {error}"))?;
    let line = dialler.dial(&hook).await?;
    let broke = |error: hyper::Error| format!("{} answered nothing that is HTTP: {error}", hook.authority());
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(64);
    let (mut sender, connection) = builder.handshake(TokioIo::new(line)).await.map_err(broke)?;
    // The connection ends with this function, however it ends; what of the body was sent is not read.
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // Who closes after the answer has given one.
        _ = connection => answer.await,
    };
    Ok(answer.map_err(broke)?.status())
}

fn meaning(status: StatusCode) -> Tried {
    match status {
        status if status.is_success() => Tried::Sent,
        StatusCode::GONE => Tried::Refused("the receiver answers 410: it is gone".to_owned()),
        status if status.is_redirection() => Tried::Failed(format!(
            "the receiver answers {}: no redirect is followed; add the address where it ends",
            status.as_u16()
        )),
        status => Tried::Failed(format!("the receiver answers {}", status.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_can_check_who_sent_it_and_when() {
        // printf '1700000000.{"id":"a"}' | openssl dgst -sha256 -hmac whsec_x
        let signed = signature("whsec_x", 1_700_000_000, br#"{"id":"a"}"#).unwrap();
        assert_eq!(signed, "t=1700000000,v1=5450a0c216f4175af4bcc2b23c03f4a0401f9e4f1db0a89457fb32ef797c95c5");
        assert_ne!(signed, signature("whsec_y", 1_700_000_000, br#"{"id":"a"}"#).unwrap());
        assert_ne!(signed[13..], signature("whsec_x", 1_700_000_001, br#"{"id":"a"}"#).unwrap()[13..]);
    }

    #[test]
    fn only_who_says_so_is_gone_for_good() {
        let of = |code| meaning(StatusCode::from_u16(code).unwrap());
        assert_eq!((of(200), of(204)), (Tried::Sent, Tried::Sent));
        assert!(matches!(of(410), Tried::Refused(_)));
        for later in [302, 307, 400, 404, 429, 500, 503] {
            assert!(matches!(of(later), Tried::Failed(why) if why.contains(&later.to_string())));
        }
    }
}

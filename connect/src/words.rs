//! Why a connection failed, in words, where the error's own would help nobody.

use std::{error::Error, io, iter};

use tokio_rustls::rustls::{self, AlertDescription, CertificateError};

use crate::{address::Address, socket::Stranger};

/// `None` where the error speaks for itself: connection refused.
pub fn explain(address: &Address, error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|cause| {
        if let Some(stranger) = cause.downcast_ref::<Stranger>() {
            return Some(stranger.to_string());
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(of_tls(address, tls));
        }
        let text = cause.to_string();
        if text.contains("tls handshake eof") {
            return Some(speaks_plain_http(address));
        }
        if ["frame with invalid size", "broken pipe"].iter().any(|words| text.contains(words)) {
            return Some(speaks_otherwise(address));
        }
        farewell(&text).map(|said| format!("what listens at {address} says: {said}"))
    })
}

/// Whether somebody answered whose certificate is not of the house that was joined.
pub fn is_of_other_house(error: &(dyn Error + 'static)) -> bool {
    use CertificateError::{BadSignature, UnknownIssuer};
    let is = |tls: &rustls::Error| matches!(tls, rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature));
    causes(error).any(|cause| cause.downcast_ref::<rustls::Error>().is_some_and(is))
}

/// An error and what it was caused by. One of the operating system keeps its cause apart.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

fn of_tls(address: &Address, error: &rustls::Error) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match error {
        // The alert is what our own coordinator says on a port without TLS.
        rustls::Error::InvalidMessage(_) | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            speaks_plain_http(address)
        }
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => format!(
            "the certificate at {address} is not of the house that you joined; nothing was sent. Where its admin has made a \
             new one, join again: tandem join {address} FINGERPRINT"
        ),
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            format!("the certificate at {address} has expired, or the clock of this machine is wrong ({error})")
        }
        rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            format!("the certificate at {address} does not hold yet: is the clock of this machine right? ({error})")
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => format!(
            "the certificate at {address} is for another name than the one that you joined ({error}); join again: tandem \
             join {address} FINGERPRINT"
        ),
        other => format!("the TLS handshake with {address} failed: {other}"),
    }
}

fn speaks_plain_http(address: &Address) -> String {
    let here = address.host_port().map(|at| format!("127.0.0.1:{}", at.port)).unwrap_or_default();
    format!("what listens at {address} speaks plain http, not TLS: use http://{here} on the box itself")
}

fn speaks_otherwise(address: &Address) -> String {
    let tls = match address {
        Address::Http(at) => format!(", one that speaks TLS (then use https://{at})"),
        Address::Https(_) | Address::Unix(_) => String::new(),
    };
    format!(
        "what answers at {address} does not speak as a coordinator does: another program, a proxy{tls}, or one that has just \
         ended"
    )
}

/// What an HTTP/2 server said when it closed the connection, as h2 writes it: `... (b"this port speaks TLS")`.
fn farewell(text: &str) -> Option<&str> {
    let (_, said) = text.split_once("(b\"")?;
    said.strip_suffix("\")").filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(error: rustls::Error) -> String {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        explain(&"https://box:7077".parse().unwrap(), &error).unwrap()
    }

    #[test]
    fn tls_errors_say_what_to_do() {
        let plain = explained(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
        assert_eq!(
            plain,
            "what listens at https://box:7077 speaks plain http, not TLS: use http://127.0.0.1:7077 on the box itself"
        );
        assert_eq!(explained(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)), plain);
        assert!(explained(CertificateError::UnknownIssuer.into()).contains("tandem join https://box:7077"));
        let is_other = |error: CertificateError| is_of_other_house(&io::Error::other(rustls::Error::from(error)));
        assert!(is_other(CertificateError::UnknownIssuer) && !is_other(CertificateError::Expired));
        assert!(explained(CertificateError::Expired.into()).contains("clock"));
        assert!(explained(rustls::Error::General("x".to_owned())).contains("handshake with https://box:7077 failed"));
    }

    #[test]
    fn what_a_server_said_at_the_end_is_passed_on() {
        let address = "http://127.0.0.1:7077".parse().unwrap();
        let error = |text: &str| io::Error::other(text.to_owned());
        let said = explain(
            &address,
            &error("connection error received: not a result of an error (b\"this port speaks TLS\")"),
        );
        assert_eq!(said.unwrap(), "what listens at http://127.0.0.1:7077 says: this port speaks TLS");
        let tls = explain(&address, &error("frame with invalid size")).unwrap();
        assert!(tls.contains("then use https://127.0.0.1:7077"), "{tls}");
        assert_eq!(explain(&address, &error("connection refused")), None);
    }
}

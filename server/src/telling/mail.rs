//! Mail: by SMTP, or by the machine's own sendmail.

use std::time::Duration;

use lettre::{
    Address, AsyncSendmailTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
    },
};
use tandem_domain::telling::{address::check_mail, retry::Tried, words};
use url::{Host, Url};

/// One answer of the server of mail.
const ANSWER: Duration = Duration::from_secs(10);
const SENDMAIL: &str = "/usr/sbin/sendmail";

/// A way to send mail.
#[derive(Debug)]
pub(crate) struct Mailer {
    from: Address,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Sendmail(AsyncSendmailTransport<Tokio1Executor>),
}

impl Mailer {
    /// By the options `--mail` and `--mail-from`, and the password of a file.
    ///
    /// # Errors
    /// Says what is wrong with an option. Never says a password.
    pub(super) fn new(url: &str, from: &str, password: Option<String>) -> Result<Self, String> {
        check_mail(from).map_err(|why| format!("--mail-from: {why}"))?;
        let from = from.parse().map_err(|error| format!("--mail-from {from:?}: {error}"))?;
        let expected = "expected smtp://USER@HOST:PORT, smtps://USER@HOST:PORT or sendmail:";
        let url = Url::parse(url).map_err(|error| format!("--mail: {error}; {expected}"))?;
        let way = match url.scheme() {
            "sendmail" => {
                let program = if url.path().is_empty() { SENDMAIL } else { url.path() };
                Way::Sendmail(AsyncSendmailTransport::new_with_command(program))
            }
            "smtp" | "smtps" => Way::Smtp(smtp(&url, password)?),
            other => return Err(format!("--mail {other}:..: {expected}")),
        };
        Ok(Self { from, way })
    }

    /// Sends a message and says how that went. `id` is the same for each try, so that programs of mail show it once.
    pub(super) async fn send(&self, to: &str, id: &str, message: &words::Message) -> Tried {
        let mail = match self.mail(to, id, message) {
            Ok(mail) => mail,
            Err(why) => return Tried::Refused(why),
        };
        match &self.way {
            Way::Smtp(smtp) => match smtp.send(mail).await {
                Ok(_) => Tried::Sent,
                Err(error) if error.is_permanent() => Tried::Refused(format!("the server of mail refuses it: {error}")),
                Err(error) => Tried::Failed(format!("cannot send mail: {error}")),
            },
            Way::Sendmail(sendmail) => match sendmail.send(mail).await {
                Ok(()) => Tried::Sent,
                Err(error) => Tried::Failed(format!("sendmail does not take it: {error}")),
            },
        }
    }

    fn mail(&self, to: &str, id: &str, message: &words::Message) -> Result<Message, String> {
        check_mail(to)?;
        let to: Address = to.parse().map_err(|error| format!("{to:?}: {error}"))?;
        Message::builder()
            .from(Mailbox::new(Some("Tandem".to_owned()), self.from.clone()))
            .to(Mailbox::new(None, to))
            .message_id(Some(format!("<{id}@{}>", self.from.domain())))
            .subject(words::subject(message))
            .header(ContentType::TEXT_PLAIN)
            .body(words::body(message))
            .map_err(|error| format!("cannot make a mail of it: {error}"))
    }
}

fn smtp(url: &Url, password: Option<String>) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    if url.password().is_some() {
        return Err(
            "--mail holds a password, which everybody on this machine can read: put it into a file, and name that by \
                    --mail-password-file"
                .to_owned(),
        );
    }
    // Of a scheme that browsers do not know, an address is not read as one.
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("--mail names no host")?;
    let is_loopback = match Host::parse(host) {
        Ok(Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(Host::Ipv6(ip)) => ip.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(error) => return Err(format!("--mail: {host:?}: {error}")),
    };
    let wanted = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
    let parameters =
        || TlsParameters::new(host.trim_matches(['[', ']']).to_owned()).map_err(|error| format!("--mail: {error}"));
    let tls = match (url.scheme(), wanted.as_deref(), &password) {
        ("smtps", ..) => Tls::Wrapper(parameters()?),
        (_, Some("none"), None) => Tls::None,
        (_, Some("none"), Some(_)) if is_loopback => Tls::None,
        (_, Some("none"), Some(_)) => {
            return Err("--mail: with ?tls=none everybody on the way reads the password".to_owned());
        }
        (_, Some("required"), _) => Tls::Required(parameters()?),
        (_, None, Some(_)) if !is_loopback => Tls::Required(parameters()?),
        (_, None, _) => Tls::Opportunistic(parameters()?),
        (_, Some(other), _) => return Err(format!("--mail: tls={other}: expected required or none")),
    };
    let port = url.port().unwrap_or(match (url.scheme(), &password) {
        ("smtps", _) => 465,
        (_, Some(_)) => 587,
        _ => 25,
    });
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host.trim_matches(['[', ']']))
        .port(port)
        .tls(tls)
        .hello_name(ClientId::default())
        .timeout(Some(ANSWER));
    if let Some(password) = password {
        if url.username().is_empty() {
            return Err("--mail-password-file needs a user in --mail: smtps://USER@HOST".to_owned());
        }
        // As URLs write an address: ann%40example.org.
        let user = url.username().replace("%40", "@");
        builder = builder.credentials(Credentials::new(user, password));
    }
    Ok(builder.build())
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;

//! Carries one message, by the kind of its target, and says how that went.

use std::time::Duration;

use tandem_domain::telling::{
    address::Webhook,
    retry::{TRY_LIMIT, Tried},
    words,
};
use tokio::time::timeout;

use super::{dial::Dialler, mail::Mailer, options::TellingArgs, webhook};
use crate::{
    private_file::{self, PrivateFileError},
    store::tells::Claimed,
};

/// Why a coordinator does not start with these options.
#[derive(Debug, thiserror::Error)]
pub enum TellingError {
    #[error("cannot use --mail-password-file: {0}")]
    Password(#[from] PrivateFileError),
    #[error("{0}")]
    Option(String),
}

/// All ways that there are.
#[derive(Debug)]
pub(crate) struct Courier {
    dialler: Dialler,
    mailer: Option<Mailer>,
    /// Of one try.
    limit: Duration,
}

impl Courier {
    /// # Errors
    /// What is wrong with an option.
    pub(crate) fn new(options: &TellingArgs, own_port: u16) -> Result<Self, TellingError> {
        let password = options.mail_password_file.as_deref().map(private_file::password).transpose()?;
        let mailer = match (&options.mail, &options.mail_from) {
            (Some(url), Some(from)) => Some(Mailer::new(url, from, password).map_err(TellingError::Option)?),
            (Some(_), None) => return Err(TellingError::Option("--mail needs --mail-from".to_owned())),
            (None, _) => None,
        };
        Ok(Self { dialler: Dialler::new(options.rules(), own_port), mailer, limit: TRY_LIMIT })
    }

    /// For who cannot wait.
    #[cfg(test)]
    pub(crate) fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn has_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// Whether a webhook may be sent there now.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn check(&self, hook: &Webhook) -> Result<(), String> {
        self.dialler.look_up(hook).await.map(drop)
    }

    /// One try.
    pub(crate) async fn carry(&self, claimed: &Claimed) -> Tried {
        let carried = timeout(self.limit, self.carry_on(claimed)).await;
        carried.unwrap_or_else(|_| Tried::Failed(format!("no answer within {:?}", self.limit)))
    }

    async fn carry_on(&self, claimed: &Claimed) -> Tried {
        let event = claimed.message.get("id").and_then(|id| id.as_str()).unwrap_or_default();
        match (claimed.kind.as_str(), &self.mailer) {
            ("webhook", _) => {
                let body = claimed.message.to_string();
                let seconds = claimed.now.timestamp();
                webhook::send(&self.dialler, &claimed.address, &claimed.secret, event, body.as_bytes(), seconds).await
            }
            ("mail", Some(mailer)) => match serde_json::from_value::<words::Message>(claimed.message.clone()) {
                Ok(message) => mailer.send(&claimed.address, &claimed.id.to_string(), &message).await,
                Err(error) => Tried::Refused(format!("the message cannot be read: {error}")),
            },
            ("mail", None) => Tried::Failed("this coordinator was started without --mail".to_owned()),
            (other, _) => Tried::Refused(format!("this version sends nothing by {other}")),
        }
    }
}

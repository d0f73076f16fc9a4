//! The options of a coordinator that are about telling people.

use std::path::PathBuf;

use clap::Args;
use tandem_domain::telling::address::{Allowed, Rules};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Telling people (tandem notify)")]
pub struct TellingArgs {
    /// Webhooks may go to this host or these addresses, too, which the rule refuses: its own machine, metadata services.
    #[arg(
        long,
        env = "TANDEM_ALLOW_WEBHOOKS_TO",
        value_name = "HOST|CIDR",
        value_delimiter = ',',
        value_parser = Allowed::parse
    )]
    pub allow_webhooks_to: Vec<Allowed>,

    /// Webhooks go to no address of a private network (10.0.0.0/8, 192.168.0.0/16, ..).
    #[arg(long, env = "TANDEM_WEBHOOKS_ONLY_PUBLIC")]
    pub webhooks_only_public: bool,

    /// How mail is sent: smtp://USER@HOST:PORT (STARTTLS where it is offered; ?tls=required or none), smtps://.., or sendmail:.
    /// Without it there is no mail.
    #[arg(long, env = "TANDEM_MAIL", value_name = "URL", requires = "mail_from")]
    pub mail: Option<String>,

    /// The address that mail comes from.
    #[arg(long, env = "TANDEM_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,

    /// File with the password for --mail; nobody else may read it.
    #[arg(long, env = "TANDEM_MAIL_PASSWORD_FILE", value_name = "FILE", requires = "mail")]
    pub mail_password_file: Option<PathBuf>,
}

impl TellingArgs {
    pub(super) fn rules(&self) -> Rules {
        Rules { allowed: self.allow_webhooks_to.clone(), only_public: self.webhooks_only_public, own: Vec::new() }
    }
}

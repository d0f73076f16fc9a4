//! Who calls, by what is known; and the end of requests whose caller may not go on.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tandem_domain::{
    access::{
        Denial, Identity, PersonRole,
        identity::Person,
        name::of_login,
        permit::permit,
        rules::Rule,
        session::{Secret, SecretHash},
        token::{Token, TokenId},
    },
    timing,
};
use tokio_util::sync::CancellationToken;

use super::{
    account::Accounts,
    known::Known,
    open::{Caller, Held, OpenRequests, Request},
    rank::is_of_worker,
    refusals::Refusals,
    this_box,
    throttle::{Source, Throttle, wrong},
    used::Used,
};
use crate::{
    error::Result,
    listen::peer::Peer,
    meters,
    notifier::Notifier,
    store::{
        Store,
        audit::{self, Entry},
        sessions::Holder,
        tokens, within,
    },
};

/// What is known is looked at again this often, if no notification came: the longest that a revoked token is good.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// `last_used` of tokens is stored this often.
const USED_EVERY: Duration = Duration::from_secs(60);
/// A token that was made by another coordinator a moment ago is looked for, but not for every wrong guess.
const MISS_EVERY: Duration = Duration::from_millis(250);

pub(crate) struct Gate {
    store: Store,
    /// The account that started the house.
    house: u32,
    /// What an account of the box may do that no person is linked to.
    login_role: Option<PersonRole>,
    known: RwLock<Arc<Known>>,
    accounts: Accounts,
    open: Arc<OpenRequests>,
    /// Wrong tokens that are looked at.
    tries: Throttle,
    /// Refusals that are logged and stand in the audit.
    notes: Throttle,
    used: Used,
    refusals: Refusals,
    missed: tokio::sync::Mutex<Option<Instant>>,
}

impl Gate {
    /// # Errors
    /// When what is stored of people and tokens cannot be read.
    pub(crate) async fn open(store: Store, login_role: Option<PersonRole>) -> Result<Arc<Self>> {
        let known = Known::read(&mut *store.lane.conn().await?).await?;
        Ok(Arc::new(Self {
            store,
            house: nix::unistd::geteuid().as_raw(),
            login_role,
            known: RwLock::new(Arc::new(known)),
            accounts: Accounts::default(),
            open: Arc::default(),
            tries: Throttle::new(200, Duration::from_millis(200)),
            notes: Throttle::new(50, Duration::from_secs(10)),
            used: Used::default(),
            refusals: Refusals::default(),
            missed: tokio::sync::Mutex::default(),
        }))
    }

    /// Who calls, and what its standing depends on.
    pub(crate) async fn identify(&self, peer: Peer, header: Option<&[u8]>) -> Result<(Identity, Caller), Denial> {
        let (mut identity, caller) = self.recognise(peer, header).await?;
        if let Identity::Person(person) = &mut identity {
            person.origin = peer.to_string();
        }
        Ok((identity, caller))
    }

    async fn recognise(&self, peer: Peer, header: Option<&[u8]>) -> Result<(Identity, Caller), Denial> {
        match (header, peer) {
            (Some(header), _) => {
                let identity = self.by_token(header, peer).await?;
                Ok((identity.clone(), Caller::Token(identity)))
            }
            (None, Peer::Socket { uid, pid }) => {
                if pid.is_some_and(is_of_worker) {
                    return Err(Denial::Rank);
                }
                Ok((Identity::Person(self.by_account(uid).await?), Caller::Account(uid)))
            }
            (None, Peer::Tcp { .. }) => Ok((Identity::Nobody, Caller::Nobody)),
        }
    }

    async fn by_token(&self, header: &[u8], peer: Peer) -> Result<Identity, Denial> {
        let text = std::str::from_utf8(header).unwrap_or_default();
        // The scheme is of either case (RFC 9110).
        let text = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
            _ => text,
        };
        let token = Token::parse(text).map_err(|malformed| self.wrong(Denial::Malformed(malformed), peer, None))?;
        let id = token.id();
        if !self.known().has(&id) {
            self.look_for(&id).await;
        }
        let identity = self.known().judge(&token, Instant::now());
        let identity = identity.map_err(|denial| self.wrong(denial, peer, Some(&id)))?;
        self.used.add(id);
        Ok(identity)
    }

    fn wrong(&self, denial: Denial, peer: Peer, id: Option<&TokenId>) -> Denial {
        wrong(&self.tries, denial, peer, id)
    }

    /// Who has the session of a browser.
    pub(crate) async fn identify_browser(&self, peer: Peer, cookie: &Secret) -> Result<(Identity, Caller), Denial> {
        let hash = cookie.hash();
        if self.known().session(&hash, Instant::now()).is_err() {
            // It may have begun on another coordinator a moment ago.
            self.look_again(|known| known.session(&hash, Instant::now()).is_ok()).await;
        }
        let mut identity = self.by_session(&hash).await?;
        if let Identity::Person(person) = &mut identity {
            person.origin = format!("{peer}, by the page");
        }
        Ok((identity, Caller::Session(hash)))
    }

    async fn by_session(&self, hash: &SecretHash) -> Result<Identity, Denial> {
        let known = self.known();
        let holder = known.session(hash, Instant::now())?;
        self.of_holder(&holder).await
    }

    /// Who a holder is now.
    pub(crate) async fn of_holder(&self, holder: &Holder) -> Result<Identity, Denial> {
        match holder {
            Holder::Token(id) => self.known().standing(id, Instant::now()),
            Holder::Account { uid, host } if host == this_box::start() => {
                Ok(Identity::Person(self.by_account(*uid).await?))
            }
            // Elsewhere that number is somebody else.
            Holder::Account { .. } => Err(Denial::SessionOver),
        }
    }

    /// Counts a wrong code of a browser; how it is refused.
    pub(crate) fn wrong_code(&self, peer: Peer) -> Denial {
        self.wrong(Denial::SessionOver, peer, None)
    }

    async fn by_account(&self, uid: u32) -> Result<Person, Denial> {
        let account = self.accounts.name(uid).await;
        let linked = self.known().person_of(&account);
        // Whatever person that account is linked to: otherwise nobody could undo a mistake. Root can read every file of the house.
        if uid == self.house || uid == 0 {
            let name = linked.and_then(Result::ok).map_or_else(|| of_login(&account), |person| person.name);
            return Ok(Person::without_token(name, PersonRole::Admin));
        }
        match (linked.transpose()?, self.login_role) {
            (Some(person), _) => Ok(person),
            (None, Some(role)) => Ok(Person::without_token(of_login(&account), role)),
            (None, None) => Err(Denial::UnknownLogin(account)),
        }
    }

    /// Lists a request that may be made until what is returned is dropped.
    pub(super) fn enter(&self, caller: Caller, rule: &'static Rule) -> Arc<Held> {
        self.open.enter(caller, rule)
    }

    /// How many streams and how many other calls are under way.
    pub(crate) fn open_requests(&self) -> (usize, usize) {
        let all = self.open.all();
        let streams = all.iter().filter(|request| request.rule.streams).count();
        (streams, all.len() - streams)
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what is stored, if it has changed, and ends requests whose caller may not go on.
    ///
    /// # Errors
    /// When it cannot be read: then what was known goes on to hold.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let read = async {
            let mut conn = self.store.lane.conn().await?;
            let version = tokens::version(&mut conn).await?;
            let changed = version.is_none() || version != self.known().version;
            Ok(if changed { Some(Known::read(&mut conn).await?) } else { None })
        };
        let changed = within(timing::timing().statement_limit(), read).await?;
        if let Some(known) = changed {
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        }
        Ok(())
    }

    /// Who a caller is now.
    ///
    /// # Errors
    /// Why it may not go on.
    pub(crate) async fn standing(&self, caller: &Caller) -> Result<Identity, Denial> {
        match caller {
            Caller::Nobody => Ok(Identity::Nobody),
            Caller::Token(identity) => match identity.token() {
                Some(id) => self.known().standing(id, Instant::now()),
                None => Ok(identity.clone()),
            },
            Caller::Account(uid) => self.by_account(*uid).await.map(Identity::Person),
            Caller::Session(hash) => self.by_session(hash).await,
        }
    }

    /// Ends requests whose caller may not go on: revoked, expired, disabled, or of a lower role.
    pub(crate) async fn sweep(&self) {
        for Request { caller, rule, ending } in self.open.all() {
            if matches!(caller, Caller::Nobody) {
                continue;
            }
            let standing = self.standing(&caller).await;
            if let Err(reason) = standing.and_then(|identity| permit(rule, &identity)) {
                tracing::info!(method = rule.method, "ended: {reason}");
                ending.end(reason);
            }
        }
    }

    async fn look_for(&self, id: &TokenId) {
        self.look_again(|known| known.has(id)).await;
    }

    async fn look_again(&self, is_there: impl Fn(&Known) -> bool) {
        let mut last = self.missed.lock().await;
        if is_there(&self.known()) || last.is_some_and(|at| at.elapsed() < MISS_EVERY) {
            return;
        }
        if let Err(error) = self.refresh().await {
            tracing::debug!(%error, "cannot look for a token");
        }
        *last = Some(Instant::now());
    }

    /// Keeps what is known up to date until `closing`.
    pub(crate) async fn run(&self, notifier: &Notifier, closing: &CancellationToken) {
        let mut stored_at = Instant::now();
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = notifier.access.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = closing.cancelled() => return,
            }
            let refreshed = self.refresh().await;
            if let Err(error) = &refreshed
                && !is_failing
            {
                tracing::warn!(%error, "cannot read people and tokens; what was known holds meanwhile");
            }
            is_failing = refreshed.is_err();
            self.sweep().await;
            self.store_refusals().await;
            if stored_at.elapsed() >= USED_EVERY {
                stored_at = Instant::now();
                self.used.store(&self.store).await;
            }
        }
    }

    /// Has a refusal stored, soon.
    pub(crate) fn refused(&self, entry: Entry) {
        self.refusals.add(entry);
    }

    /// Logs a refusal and has it stored, unless that client has had too many of them: then it is counted.
    pub(crate) fn note(&self, peer: Peer, who: &str, method: &str, denial: &Denial) {
        meters::refusal(if matches!(denial, Denial::TooMany(_)) {
            "too many"
        } else if denial.is_unknown() {
            "unknown"
        } else {
            "forbidden"
        });
        let source = match peer {
            Peer::Tcp { address } => Source::Address(address.ip()),
            Peer::Socket { uid, .. } => Source::Account(uid),
        };
        if self.notes.is_too_many(source, Instant::now()) {
            self.refusals.leave_out();
            return;
        }
        let (owner, via) = match denial {
            Denial::Revoked(id) | Denial::BeforeRestore(id) | Denial::Expired(id) | Denial::Once(id) => {
                (self.known().owner(id), id.to_string())
            }
            Denial::Disabled(name) => (Some(name.clone()), String::new()),
            _ => (None, String::new()),
        };
        let who = owner.unwrap_or_else(|| who.to_owned());
        tracing::info!(method, from = %peer, who, "refused: {denial}");
        // What it was about is not known: who may not is refused before what it sends is read.
        let what = method.trim_start_matches("/tandem.v1.").to_owned();
        let outcome = format!("refused: {denial}");
        self.refused(Entry { who, via, origin: peer.to_string(), what, outcome, ..Entry::default() });
    }

    pub(crate) async fn store_refusals(&self) {
        let entries = self.refusals.take().await;
        if entries.is_empty() {
            return;
        }
        let store = async { Ok(audit::append(&mut *self.store.lane.conn().await?, &entries).await?) };
        if let Err(error) = within(timing::timing().statement_limit(), store).await {
            tracing::warn!(%error, refusals = entries.len(), "cannot store refusals in the audit; they stand in this log");
        }
    }
}

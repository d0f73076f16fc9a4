//! Sessions of browsers: how one begins, and how it is ended. What a session may is what its token, or its account, may.

use std::time::Duration;

use tandem_domain::access::{
    Denial, Identity,
    identity::Person,
    session::{RANDOM_BYTES, Secret, SecretHash},
};
use uuid::Uuid;

use crate::{
    access::Gate,
    error::{Error, Result},
    listen::peer::Peer,
    store::{
        Store,
        audit::{self, Entry},
        retry, sessions,
        sessions::Holder,
    },
};

/// A session ends after so long, whatever happens.
pub(crate) const LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// A code is good for so long.
pub(crate) const CODE_LASTS: Duration = Duration::from_secs(60);
/// Browsers of one token or account; the one that was logged in first is logged out for another.
const SESSIONS_OF_ONE: i64 = 20;
const CODES_OF_ONE: i64 = 10;

/// Why a browser is not logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Denied(Denial),
    #[error("this token is a {0}'s; a person's is needed")]
    NoPerson(&'static str),
    #[error("this code was used before, or is older than a minute; `tandem web` makes another")]
    Code,
    #[error("this form was not sent by a page of this coordinator; open its page and try again")]
    Elsewhere,
    #[error(transparent)]
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn fresh() -> Result<Secret> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    Ok(Secret::new(&random))
}

/// Makes a code that logs a browser in as `by`; with its id, which is no secret.
pub(crate) async fn new_code(store: &Store, by: &Person, holder: &Holder) -> Result<(Secret, Uuid)> {
    let (secret, id) = (fresh()?, Uuid::new_v4());
    let mut tx = store.begin().await?;
    if !sessions::put_code(&mut tx, id, &secret.hash(), holder, CODE_LASTS, CODES_OF_ONE).await? {
        return Err(Error::Full(format!("{CODES_OF_ONE} codes of yours wait to be used; ask again in a minute")));
    }
    audit::append(&mut tx, &[Entry::done(by, "People/WebCode", "", &by.name)]).await?;
    tx.commit().await?;
    Ok((secret, id))
}

/// Begins a session by a token that a person pasted; `before` is the one that the browser had.
pub(crate) async fn by_token(
    store: &Store,
    gate: &Gate,
    peer: Peer,
    token: &str,
    before: Option<&SecretHash>,
) -> Result<Secret, Refusal> {
    let identified = gate.identify(peer, Some(format!("Bearer {token}").as_bytes())).await;
    let (identity, _) = identified.map_err(|denial| denied(gate, peer, denial))?;
    let person = person(&identity).map_err(|refusal| told(gate, peer, refusal))?;
    let holder = person.token.clone().map(Holder::Token).ok_or(Refusal::Denied(Denial::NoToken))?;
    begin(store, gate, person, &holder, before).await
}

/// Begins a session by a code, which is used up.
pub(crate) async fn by_code(
    store: &Store,
    gate: &Gate,
    peer: Peer,
    code: &str,
    before: Option<&SecretHash>,
) -> Result<Secret, Refusal> {
    let holder = match Secret::parse(code) {
        Some(secret) => {
            // Used up whatever comes next: it has been seen.
            let hash = secret.hash();
            sessions::use_code(&mut *store.reader().await?, &hash).await?
        }
        None => None,
    };
    let holder = holder.ok_or_else(|| wrong_code(gate, peer))?;
    let mut identity = gate.of_holder(&holder).await.map_err(|denial| denied(gate, peer, denial))?;
    if let Identity::Person(person) = &mut identity {
        person.origin = format!("{peer}, by the page");
    }
    begin(store, gate, person(&identity)?, &holder, before).await
}

/// As whom a code would log a browser in, which is not done: whoever sent it may be another site that wants somebody to work, unaware,
/// as somebody else.
pub(crate) async fn whose_code(store: &Store, gate: &Gate, peer: Peer, code: &str) -> Result<String, Refusal> {
    let holder = match Secret::parse(code) {
        Some(secret) => sessions::holder_of_code(&mut *store.reader().await?, &secret.hash()).await?,
        None => None,
    };
    let holder = holder.ok_or_else(|| wrong_code(gate, peer))?;
    let identity = gate.of_holder(&holder).await.map_err(|denial| denied(gate, peer, denial))?;
    Ok(person(&identity)?.name.clone())
}

fn wrong_code(gate: &Gate, peer: Peer) -> Refusal {
    match gate.wrong_code(peer) {
        denial @ Denial::TooMany(_) => denied(gate, peer, denial),
        _ => told(gate, peer, Refusal::Code),
    }
}

fn person(identity: &Identity) -> Result<&Person, Refusal> {
    match identity {
        Identity::Person(Person { once: true, token: Some(id), .. }) => Err(Refusal::Denied(Denial::Once(id.clone()))),
        Identity::Person(person) => Ok(person),
        Identity::Worker(_) => Err(Refusal::NoPerson("worker")),
        Identity::Scrape(_) => Err(Refusal::NoPerson("scraper")),
        Identity::Nobody => Err(Refusal::Denied(Denial::NoToken)),
    }
}

fn denied(gate: &Gate, peer: Peer, denial: Denial) -> Refusal {
    gate.note(peer, "nobody", "page/Login", &denial);
    Refusal::Denied(denial)
}

fn told(gate: &Gate, peer: Peer, refusal: Refusal) -> Refusal {
    if let Refusal::Denied(denial) = &refusal {
        gate.note(peer, "nobody", "page/Login", denial);
    } else {
        let outcome = format!("refused: {refusal}");
        let (who, origin, what) = ("nobody".to_owned(), peer.to_string(), "page/Login".to_owned());
        gate.refused(Entry { who, origin, what, outcome, ..Entry::default() });
    }
    refusal
}

async fn begin(
    store: &Store,
    gate: &Gate,
    person: &Person,
    holder: &Holder,
    before: Option<&SecretHash>,
) -> Result<Secret, Refusal> {
    let secret = fresh()?;
    retry(|| async {
        let mut tx = store.begin().await?;
        if let Some(before) = before {
            sessions::end(&mut tx, before).await?;
        }
        sessions::begin(&mut tx, &secret.hash(), holder, LASTS, SESSIONS_OF_ONE).await?;
        audit::append(&mut tx, &[Entry::done(person, "page/Login", "a browser", &person.name)]).await?;
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    tracing::info!(who = person.name, from = person.origin, "a browser is logged in");
    changed(gate).await;
    Ok(secret)
}

/// Ends a session; twice is once.
pub(crate) async fn end(store: &Store, gate: &Gate, peer: Peer, secret: &Secret) -> Result<()> {
    let who = gate.identify_browser(peer, secret).await;
    let mut tx = store.begin().await?;
    let ended = sessions::end(&mut tx, &secret.hash()).await?;
    if let (true, Ok((Identity::Person(person), _))) = (ended, &who) {
        audit::append(&mut tx, &[Entry::done(person, "page/Logout", "a browser", &person.name)]).await?;
    }
    tx.commit().await?;
    changed(gate).await;
    Ok(())
}

/// Before the answer: the next request finds that it holds.
async fn changed(gate: &Gate) {
    if let Err(error) = gate.refresh().await {
        tracing::warn!(%error, "a session that was begun or ended is so in a moment");
    }
    gate.sweep().await;
}

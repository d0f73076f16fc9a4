//! Where a person wants to be told, at that person's request.

use std::time::Duration;

use chrono::TimeDelta;
use tandem_domain::{
    access::identity::Person,
    telling::{
        TARGETS_OF_ALL, TARGETS_OF_ONE,
        address::{Webhook, check_mail},
        wants::Wants,
    },
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{compose::of_test, courier::Courier};
use crate::{
    error::{Error, Result},
    store::{
        Store,
        audit::{self, Entry},
        jobs,
        notify_targets::{self, NewTarget, TargetRow},
        tells,
    },
};

/// How long a test waits for how it goes.
const TEST_WAIT: Duration = Duration::from_secs(12);
const TEST_LOOK: Duration = Duration::from_millis(250);
/// Between two tests of one target.
const TEST_EVERY: i64 = 10;

/// What somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// "webhook" or "mail".
    pub(crate) kind: String,
    pub(crate) address: String,
    pub(crate) on: String,
    pub(crate) all: bool,
}

/// Adds a target, or changes what is told to it; returns it, and the secret of a new webhook.
///
/// # Errors
/// `Invalid` for what is no address, or one that is refused; `Forbidden` for all experiments, but of admins.
pub(crate) async fn set(
    store: &Store,
    courier: &Courier,
    by: &Person,
    wish: &Wish,
) -> Result<(TargetRow, Option<String>)> {
    let wants: Wants = wish.on.parse().map_err(Error::Invalid)?;
    if wish.all && !by.is_admin() {
        return Err(Error::Forbidden(format!("everybody's experiments are told to admins; you are {}", by.role)));
    }
    let address = checked(courier, wish).await?;
    let secret = if wish.kind == "webhook" { format!("whsec_{}", random::<32>()?) } else { String::new() };
    let id = random::<4>()?;
    let new = NewTarget {
        id: &id,
        person: &by.name,
        kind: &wish.kind,
        address: &address,
        secret: &secret,
        wants,
        of_all: wish.all,
    };
    let mut tx = store.begin().await?;
    notify_targets::lock(&mut tx).await?;
    let known = notify_targets::change(&mut tx, &new).await?;
    let is_new = known.is_none();
    let id = match known {
        Some(known) => known,
        None => {
            let [own, all] = notify_targets::count(&mut tx, &by.name).await?;
            if own >= TARGETS_OF_ONE || all >= TARGETS_OF_ALL {
                return Err(Error::Full(format!(
                    "you are told at {own} places already, and all people together at {all}; at most {TARGETS_OF_ONE} and \
                     {TARGETS_OF_ALL}: tandem notify remove ID"
                )));
            }
            if !notify_targets::insert(&mut tx, &new).await? {
                return Err(Error::Conflict("the new target's id is taken, by chance; ask again".to_owned()));
            }
            id
        }
    };
    // A webhook's path may be a secret itself: the audit names the host.
    let object = format!("{id} {} {}, {wants}", wish.kind, shown(&wish.kind, &address));
    audit::append(&mut tx, &[Entry::done(by, "Notify/Set", object, &by.name)]).await?;
    let row = notify_targets::list(&mut tx, &by.name).await?.into_iter().find(|row| row.id == id);
    tx.commit().await?;
    let row = row.ok_or_else(|| Error::Bug("a target that was just stored is not there".to_owned()))?;
    tracing::info!(by = by.name, target_id = row.id, kind = row.kind, is_new, "somebody wants to be told");
    Ok((row, Some(secret).filter(|secret| is_new && !secret.is_empty())))
}

/// The address, as it is kept.
async fn checked(courier: &Courier, wish: &Wish) -> Result<String> {
    match wish.kind.as_str() {
        "webhook" => {
            let hook = Webhook::parse(&wish.address).map_err(Error::Invalid)?;
            courier.check(&hook).await.map_err(Error::Invalid)?;
            Ok(hook.url)
        }
        "mail" if !courier.has_mail() => Err(Error::Refused(
            "this coordinator sends no mail; whoever runs it can start tandem-server with --mail and --mail-from, or, under `tandem \
             up`, set TANDEM_MAIL and TANDEM_MAIL_FROM"
                .to_owned(),
        )),
        "mail" => check_mail(&wish.address).map(|()| wish.address.clone()).map_err(Error::Invalid),
        other => Err(Error::Invalid(format!("{other:?}: expected webhook or mail"))),
    }
}

fn shown(kind: &str, address: &str) -> String {
    match Webhook::parse(address) {
        Ok(hook) if kind == "webhook" => hook.authority(),
        _ => address.to_owned(),
    }
}

/// Of so many random bytes, in hex.
fn random<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Removes one of the caller's, with what waits for it.
///
/// # Errors
/// `NotFound` for one that is not there, or somebody else's: which of the two is nobody's business.
pub(crate) async fn remove(store: &Store, by: &Person, id: &str) -> Result<TargetRow> {
    let mut tx = store.begin().await?;
    let row = notify_targets::list(&mut tx, &by.name).await?.into_iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| nothing(id))?;
    if !notify_targets::remove(&mut tx, &by.name, id).await? {
        return Err(nothing(id));
    }
    let object = format!("{id} {} {}", row.kind, shown(&row.kind, &row.address));
    audit::append(&mut tx, &[Entry::done(by, "Notify/Remove", object, &by.name)]).await?;
    tx.commit().await?;
    Ok(row)
}

fn nothing(id: &str) -> Error {
    Error::NotFound(format!("you have no target {id:?}; `tandem notify list` shows yours"))
}

/// Has the leader send a message that says so, and waits a moment: how that went, and why not.
///
/// # Errors
/// `NotFound` as [`remove`]; `Refused` shortly after another test.
pub(crate) async fn test(store: &Store, by: &Person, id: &str) -> Result<(String, String)> {
    let mut tx = store.begin().await?;
    notify_targets::lock(&mut tx).await?;
    let row = notify_targets::list(&mut tx, &by.name).await?.into_iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| nothing(id))?;
    let now = jobs::now(&mut tx).await?;
    if tells::tests_since(&mut tx, id, now - TimeDelta::seconds(TEST_EVERY)).await? > 0 {
        return Err(Error::Refused(format!("{id} was tested just now; again in {TEST_EVERY} s")));
    }
    let event = of_test(&Uuid::now_v7().to_string(), now);
    let told =
        event.told(&row.id, &by.name).map_err(|error| Error::Bug(format!("a message that is no JSON: {error}")))?;
    if tells::put(&mut tx, now, &[told]).await? == 0 {
        return Err(Error::Full(format!("too many messages wait for {id} already: {}", row.last_error)));
    }
    audit::append(&mut tx, &[Entry::done(by, "Notify/Test", id, &by.name)]).await?;
    tx.commit().await?;
    let until = Instant::now() + TEST_WAIT;
    loop {
        let state = tells::state(&mut *store.reader().await?, event.id(), id).await?;
        let (state, _, error) = state.ok_or_else(|| nothing(id))?;
        if state != "pending" || !error.is_empty() || Instant::now() >= until {
            return Ok((state, error));
        }
        sleep(TEST_LOOK).await;
    }
}

/// The caller's.
pub(crate) async fn list(store: &Store, by: &Person) -> Result<Vec<TargetRow>> {
    Ok(notify_targets::list(&mut *store.reader().await?, &by.name).await?)
}

//! What somebody asks to change (to cancel, to pause ..), and whether that is somebody's own.

use tandem_domain::access::{identity::Person, name::of_login};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Conn, experiments,
        targets::{self, Namesake, Target},
    },
    target::{by_id, checked},
};

/// What somebody asks to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That of a whole experiment.
    Experiment(Uuid),
    /// What its owner's experiments want of a job, and of those that start from it.
    OwnOf(Uuid),
    /// A job, for all that want it.
    Job(Uuid),
}

impl Wish {
    /// Of the experiment, or of the job.
    pub(crate) fn id(&self) -> Uuid {
        match *self {
            Self::Experiment(id) | Self::OwnOf(id) | Self::Job(id) => id,
        }
    }

    pub(crate) fn experiment(&self) -> Option<Uuid> {
        match self {
            Self::Experiment(id) => Some(*id),
            Self::OwnOf(_) | Self::Job(_) => None,
        }
    }
}

/// Finds what `who` asks to change, by the word of the command (`cancel`). A name stands for all that it submitted under it and
/// that has not ended; if all have, for the newest.
///
/// # Errors
/// As [`resolve`](crate::target::resolve); `Refused` if the name is somebody else's and may have been meant, `Forbidden` if it is and may not be.
pub(crate) async fn to_change(conn: &mut Conn, text: &str, who: &Person, verb: &str) -> Result<Vec<Wish>> {
    let text = checked(text)?;
    match by_namesakes(&targets::namesakes(conn, text).await?, &who.name) {
        Found::Own(wishes) => return Ok(wishes),
        Found::Others { owner: other, own_is_over } => {
            let what = match own_is_over {
                true => format!("your experiment `{text}` has ended or was cancelled; the one that goes on"),
                false => format!("experiment `{text}`"),
            };
            return Err(not_yours(who, verb, &what, &other, &format!("{other}/{text}")));
        }
        Found::None => {}
    }
    if let Some((first, second)) = text.split_once('/') {
        let job = targets::job_of(conn, &who.name, first, second).await?;
        if let Some((id, _)) = job.as_ref().filter(|(_, whose)| *whose == who.name) {
            return Ok(vec![Wish::OwnOf(*id)]);
        }
        let named = targets::namesakes(conn, second).await?;
        for owner in [first.to_owned(), of_login(first)] {
            if let Some((experiment, job)) = second.split_once('/')
                && let Some(Target::Job(id)) = targets::by_names(conn, Some(&owner), experiment, job).await?
            {
                return job_wish(conn, text, id, who, verb).await;
            }
            let named: Vec<Namesake> = named.iter().filter(|one| one.owner == owner).cloned().collect();
            if let Found::Own(wishes) = by_namesakes(&named, &owner) {
                return if who.may_change(&owner) {
                    Ok(wishes)
                } else {
                    Err(forbidden(verb, &format!("experiment `{second}`"), &owner))
                };
            }
        }
        if let Some((id, whose)) = job {
            return Err(not_yours(who, verb, &format!("job `{text}`"), &whose, &id.to_string()));
        }
    }
    match by_id(conn, text).await? {
        Target::Experiment(id) => match experiments::get(conn, id).await? {
            Some(experiment) if !who.may_change(&experiment.owner) => {
                Err(forbidden(verb, &format!("experiment `{}`", experiment.name), &experiment.owner))
            }
            _ => Ok(vec![Wish::Experiment(id)]),
        },
        Target::Job(id) => job_wish(conn, text, id, who, verb).await,
    }
}

/// What somebody asks who names a job, and not as part of an experiment of its own.
async fn job_wish(conn: &mut Conn, text: &str, id: Uuid, who: &Person, verb: &str) -> Result<Vec<Wish>> {
    let wanted_by = experiments::wanting(conn, &[id]).await?;
    let is_own = wanted_by.iter().any(|(_, one)| one.owner == who.name);
    if who.is_admin() {
        // The second time, its own wish being taken back, it is for all.
        return Ok(vec![if is_own && wanted_by.len() > 1 { Wish::OwnOf(id) } else { Wish::Job(id) }]);
    }
    match wanted_by.first() {
        _ if is_own || experiments::has_wanted(conn, &who.name, id).await? => Ok(vec![Wish::OwnOf(id)]),
        Some((_, first)) => Err(forbidden(verb, &format!("job `{text}`"), &first.owner)),
        None => Err(forbidden(verb, &format!("job `{text}`"), "somebody else")),
    }
}

fn not_yours(who: &Person, verb: &str, what: &str, owner: &str, instead: &str) -> Error {
    if who.is_admin() {
        return Error::Refused(format!("{what} is {owner}'s, not yours; if you mean it: tandem {verb} {instead}"));
    }
    forbidden(verb, what, owner)
}

fn forbidden(verb: &str, what: &str, owner: &str) -> Error {
    let verb = if verb == "priority" { "reprioritise" } else { verb };
    Error::Forbidden(format!("{what} is {owner}'s, not yours; {owner} or an admin may {verb} it"))
}

enum Found {
    Own(Vec<Wish>),
    /// Whose it is, and whether the person who asks had one of that name, too.
    Others {
        owner: String,
        own_is_over: bool,
    },
    None,
}

/// Which experiments of a name are meant: the owner's live ones; if somebody else has a live one, none of the ended ones.
fn by_namesakes(namesakes: &[Namesake], owner: &str) -> Found {
    let own = |one: &&Namesake| one.owner == owner;
    let live: Vec<Wish> =
        namesakes.iter().filter(own).filter(|one| one.live).map(|one| Wish::Experiment(one.id)).collect();
    if !live.is_empty() {
        return Found::Own(live);
    }
    let other = |live: bool| namesakes.iter().find(|one| one.owner != owner && (one.live || !live));
    match (other(true), namesakes.iter().find(own), other(false)) {
        (Some(other), ended, _) | (None, ended @ None, Some(other)) => {
            Found::Others { owner: other.owner.clone(), own_is_over: ended.is_some() }
        }
        (None, Some(ended), _) => Found::Own(vec![Wish::Experiment(ended.id)]),
        (None, None, None) => Found::None,
    }
}

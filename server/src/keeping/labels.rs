//! Tags and notes: of one's own experiments and jobs; of those of others by an admin.

use tandem_domain::{
    access::identity::Person,
    keeping::labels::{TAGS_MAX, note, tag},
};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Conn, Store,
        audit::{self, Entry},
        experiments,
        labels::{self, Labels},
        notify::{Topic, notify},
        overview::{self, JobRow},
        picks::{Filter, Scope},
        retry,
        targets::Target,
    },
    wish::{Wish, to_change},
};

/// Something with what stands on it now.
#[derive(Clone, Debug)]
pub(crate) struct Labelled {
    pub(crate) target: Target,
    /// An experiment's name, or `EXPERIMENT/JOB`.
    pub(crate) name: String,
    pub(crate) labels: Labels,
}

/// Puts tags on what is meant, or takes them off.
///
/// # Errors
/// As [`to_change`]; `Invalid` for what is no tag, `Refused` for too many, or to take off what is not there.
pub(crate) async fn set_tags(
    store: &Store,
    target: &str,
    words: &[String],
    remove: bool,
    who: &Person,
) -> Result<Vec<Labelled>> {
    let words: Vec<String> = words.iter().map(|word| tag(word)).collect::<Result<_, _>>().map_err(Error::Invalid)?;
    if words.is_empty() || words.len() > TAGS_MAX {
        return Err(Error::Invalid(format!("{} tags; expected 1 to {TAGS_MAX}", words.len())));
    }
    let what =
        if remove { format!("{target} without {}", words.join(" ")) } else { format!("{target}: {}", words.join(" ")) };
    retry(|| async {
        let mut tx = store.begin().await?;
        let targets = meant(&mut tx, target, who, "tag").await?;
        let mut removed = 0;
        for one in &targets {
            if remove {
                removed += labels::remove_tags(&mut tx, *one, &words).await?;
            } else if labels::add_tags(&mut tx, *one, &words, &who.name).await? > TAGS_MAX as i64 {
                return Err(Error::Refused(format!(
                    "`{target}` would have more than {TAGS_MAX} tags; take some off first"
                )));
            }
        }
        if remove && removed == 0 {
            return Err(Error::Refused(format!("`{target}` has no tag {}", words.join(" or "))));
        }
        finish(tx, &targets, who, "Keeping/Tag", &what).await
    })
    .await
}

/// Puts a note on what is meant, in place of the one before; an empty one takes that away.
///
/// # Errors
/// As [`to_change`]; `Invalid` for what is no note.
pub(crate) async fn set_note(store: &Store, target: &str, text: &str, who: &Person) -> Result<Vec<Labelled>> {
    let text = note(text).map_err(Error::Invalid)?;
    retry(|| async {
        let mut tx = store.begin().await?;
        let targets = meant(&mut tx, target, who, "note").await?;
        for one in &targets {
            labels::set_note(&mut tx, *one, text.as_deref(), &who.name).await?;
        }
        finish(tx, &targets, who, "Keeping/Note", target).await
    })
    .await
}

async fn meant(tx: &mut Conn, target: &str, who: &Person, verb: &str) -> Result<Vec<Target>> {
    let wishes = to_change(tx, target, who, verb).await?;
    Ok(wishes
        .into_iter()
        .map(|wish| match wish {
            Wish::Experiment(id) => Target::Experiment(id),
            Wish::OwnOf(id) | Wish::Job(id) => Target::Job(id),
        })
        .collect())
}

async fn finish(
    mut tx: crate::store::Tx,
    targets: &[Target],
    who: &Person,
    method: &str,
    what: &str,
) -> Result<Vec<Labelled>> {
    let mut labelled = Vec::new();
    for target in targets {
        let (name, whose) = named(&mut tx, *target).await?;
        let job = if let Target::Job(id) = target { Some(*id) } else { None };
        audit::append(&mut tx, &[Entry { job, ..Entry::done(who, method, what, &whose) }]).await?;
        labelled.push(Labelled { target: *target, name, labels: labels::of(&mut tx, *target).await? });
    }
    notify(&mut tx, &[Topic::Watch]).await?;
    tx.commit().await?;
    Ok(labelled)
}

/// What it is called, and whose it is.
async fn named(tx: &mut Conn, target: Target) -> Result<(String, String)> {
    match target {
        Target::Experiment(id) => {
            let known = experiments::named(tx, &[id]).await?.pop();
            Ok(known.map(|one| (one.name, one.owner)).unwrap_or_default())
        }
        Target::Job(id) => Ok(row(tx, id)
            .await?
            .map(|row| (format!("{}/{}", row.experiment_name, row.name), row.owner))
            .unwrap_or_default()),
    }
}

async fn row(tx: &mut Conn, job: Uuid) -> Result<Option<JobRow>> {
    let filter = Filter { scope: Scope::Jobs(&[job]), limit: 1, ..Filter::default() };
    Ok(overview::list(tx, &filter).await?.pop())
}

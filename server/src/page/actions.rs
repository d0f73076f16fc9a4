//! What the buttons of pages ask for: the same functions as the methods, by the same rules. Each is a form that names its target,
//! and the page to return to.

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::IntoResponse,
};
use tandem_domain::{
    access::{Identity, identity::Person},
    policy::span,
};

use super::{
    answer::{Answer, Problem, person},
    form::Form,
    house::House,
    origin::{Origin, origin},
};
use crate::{
    cancel::{Cancelled, cancel},
    error::{Error, Result},
    release::release,
    sharing::{
        chosen::Changed,
        pause,
        priority::set_priority,
        requeue::requeue,
        withhold::{self, Withheld},
    },
    store::audit::Entry,
    web::Refusal,
};

/// As in `domain::access::pages::ACTIONS`, where each has its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Cancel,
    Pause,
    Resume,
    Requeue,
    Priority,
    Hold,
    Unhold,
    Drain,
    Undrain,
    Release,
}

impl Action {
    const ALL: [Self; 10] = [
        Self::Cancel,
        Self::Pause,
        Self::Resume,
        Self::Requeue,
        Self::Priority,
        Self::Hold,
        Self::Unhold,
        Self::Drain,
        Self::Undrain,
        Self::Release,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Requeue => "requeue",
            Self::Priority => "priority",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Release => "release",
        }
    }

    /// For the audit, where it is refused.
    fn method(self) -> &'static str {
        match self {
            Self::Cancel => "Jobs/Cancel",
            Self::Pause => "Jobs/Pause",
            Self::Resume => "Jobs/Resume",
            Self::Requeue => "Jobs/Requeue",
            Self::Priority => "Jobs/SetPriority",
            Self::Hold => "Fleet/Hold",
            Self::Unhold => "Fleet/Unhold",
            Self::Drain => "Fleet/Drain",
            Self::Undrain => "Fleet/Undrain",
            Self::Release => "Fleet/Release",
        }
    }

    /// Does it; what the next page says first.
    async fn run(self, house: &House, who: &Person, form: &Form) -> Result<String> {
        let target = form.get("target");
        match self {
            Self::Cancel => Ok(cancelled(&cancel(&house.store, target, who).await?)),
            Self::Pause => Ok(changed("Paused", "None was paused.", &pause::pause(&house.store, target, who).await?)),
            Self::Resume => {
                Ok(changed("Resumed", "None was resumed.", &pause::resume(&house.store, target, who).await?))
            }
            Self::Requeue => Ok(changed(
                "Asked again for",
                "Nothing was asked for again.",
                &requeue(&house.store, target, None, who).await?,
            )),
            Self::Priority => {
                let expected = || Error::Invalid("expected a whole number as the priority".to_owned());
                let priority = form.get("priority").parse().map_err(|_| expected())?;
                Ok(changed(
                    "Changed the priority of",
                    "Nothing was changed.",
                    &set_priority(&house.store, target, priority, who).await?,
                ))
            }
            Self::Hold => {
                let time = span::parse(form.get("time")).map_err(Error::Invalid)?;
                let held =
                    withhold::hold(&house.store, who, target, time, form.get("reason"), form.get("now") == "now")
                        .await?;
                Ok(taken(&held, &format!("{} is yours for {}.", held.worker.name, span::show(time))))
            }
            Self::Unhold => {
                let (worker, was_held) = withhold::unhold(&house.store, who, target).await?;
                Ok(match was_held {
                    true => format!("{} was given back.", worker.name),
                    false => format!("{} was not held.", worker.name),
                })
            }
            Self::Drain => {
                let drained =
                    withhold::drain(&house.store, who, target, form.get("reason"), form.get("now") == "now").await?;
                Ok(taken(&drained, &format!("{} gets nothing new.", drained.worker.name)))
            }
            Self::Undrain => {
                let (worker, was_drained) = withhold::undrain(&house.store, who, target).await?;
                Ok(match was_drained {
                    true => format!("{} gets jobs again.", worker.name),
                    false => format!("{} was not drained.", worker.name),
                })
            }
            Self::Release => {
                let (worker, was_quarantined) = release(&house.store, who, target).await?;
                Ok(match was_quarantined {
                    true => format!("{} gets jobs again.", worker.name),
                    false => format!("{} was in no quarantine.", worker.name),
                })
            }
        }
    }
}

/// What was changed, and what goes on.
fn changed(done: &str, none: &str, changed: &Changed) -> String {
    let mut words = match changed.jobs.as_slice() {
        [] => none.to_owned(),
        [one] => format!("{done} {}/{}.", one.experiment_name, one.name),
        several => format!("{done} {} jobs.", several.len()),
    };
    for note in changed.notes.iter().take(3) {
        words.push_str(&format!(" {note}."));
    }
    words
}

/// What is still on a device that was asked for.
fn taken(withheld: &Withheld, words: &str) -> String {
    match (withheld.running.as_str(), withheld.stopping) {
        ("", _) => words.to_owned(),
        (job, true) => format!("{words} {job} stops there at a checkpoint."),
        (job, false) => format!("{words} {job} runs there to its end first."),
    }
}

fn cancelled(cancelled: &Cancelled) -> String {
    let mut words = match cancelled.jobs.as_slice() {
        [] => "No job was cancelled.".to_owned(),
        [one] => format!("Cancelled {}/{}.", one.experiment_name, one.name),
        several => format!("Cancelled {} jobs.", several.len()),
    };
    for job in cancelled.shared.iter().filter(|job| !job.cancelled) {
        let others: Vec<&str> = job.wanted_by.iter().map(|one| one.owner.as_str()).collect();
        words.push_str(&format!(" {} goes on: {} wants it, too.", job.name, others.join(", ")));
    }
    words
}

pub(super) async fn act(
    State(house): State<House>,
    who: Option<Extension<Identity>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Answer {
    let action = Action::ALL.into_iter().find(|action| action.name() == name);
    let action = action.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is no such action here"))?;
    // Looked at behind that: what has no rule is guarded by nobody.
    let who = person(who.as_ref().map(|Extension(who)| who))?;
    // The browser sends the cookie for a form of this site alone; that it is of this port, it says here.
    if origin(&headers, &uri, house.cookies.secure) != Origin::Own {
        let refusal = Refusal::Elsewhere.to_string();
        note(&house, who, action, "", &refusal);
        return Err(Problem::new(StatusCode::FORBIDDEN, refusal));
    }
    let form = Form::read(&headers, body).await?;
    let target = form.get("target");
    if target.len() > 1024 {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the name of the target is too long"));
    }
    let work = async {
        let done = action.run(&house, who, &form).await;
        if let Err(Error::Forbidden(reason)) = &done {
            note(&house, who, action, target, reason);
        }
        Ok(done?)
    };
    let words = house.admission.call(work).await?;
    let told = house.cookies.tell(&words);
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, form.path("back"))]).into_response();
    answer.headers_mut().append(header::SET_COOKIE, told);
    Ok(answer)
}

fn note(house: &House, who: &Person, action: Action, target: &str, reason: &str) {
    tracing::info!(by = who.name, from = who.origin, what = action.method(), target, "refused: {reason}");
    let outcome = format!("refused: {reason}");
    house.gate.refused(Entry { outcome, ..Entry::done(who, action.method(), target, "") });
}

#[cfg(test)]
mod tests {
    use tandem_domain::access::pages::ACTIONS;

    use super::*;

    #[test]
    fn every_action_has_its_method_and_every_method_its_action() {
        for (name, method) in ACTIONS {
            let action = Action::ALL.into_iter().find(|action| action.name() == *name).unwrap();
            assert_eq!(format!("/tandem.v1.{}", action.method()), *method);
        }
        assert_eq!(ACTIONS.len(), Action::ALL.len());
    }
}

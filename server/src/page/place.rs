//! Which page an address names.

use form_urlencoded::parse;
use uuid::Uuid;

use crate::store::page::Chosen;

/// Rows of a page of the queue.
pub(crate) const QUEUE_ROWS: i64 = 100;

/// A page that is drawn from what is stored, with what of it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Box,
    /// The part of the line that is shown, from 0.
    Queue {
        part: i64,
    },
    Experiments(Chosen),
    Experiment(Uuid),
    Job(Uuid),
    Results(Sorted),
    People,
}

/// Which results, and in which order; an empty text is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sorted {
    pub(crate) target: String,
    pub(crate) stage: String,
    pub(crate) best: String,
    pub(crate) ascending: bool,
    /// Whose experiments a target stands for first; empty where there is none.
    pub(crate) own: String,
}

/// Stands for who asks; no name holds such a letter.
const ME: &str = "@me";

impl Place {
    /// Whether it shows when those that wait will start, which takes more than a look at what is stored.
    pub(super) fn looks_ahead(&self) -> bool {
        matches!(self, Self::Queue { .. } | Self::Job(_))
    }

    /// The same, as `who` means it.
    pub(crate) fn asked_by(mut self, who: &str) -> Self {
        match &mut self {
            Self::Experiments(chosen) if chosen.owner == ME => who.clone_into(&mut chosen.owner),
            Self::Results(sorted) if !sorted.target.is_empty() => who.clone_into(&mut sorted.own),
            _ => {}
        }
        self
    }

    /// The page at `path`, asked with `query`; `None` if there is none.
    pub(crate) fn of(path: &str, query: &str) -> Option<Self> {
        let asked = |name: &str| -> String {
            let found = parse(query.as_bytes()).find(|(key, _)| key == name);
            // Postgres stores no NUL, and so finds none.
            found.map(|(_, value)| value.trim().replace('\0', "").chars().take(200).collect()).unwrap_or_default()
        };
        let id = |text: &str| text.parse::<Uuid>().ok();
        Some(match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", ""] => Self::Box,
            ["", "queue"] => {
                // A bound: what is skipped is read, too.
                Self::Queue { part: asked("part").parse::<i64>().unwrap_or(0).clamp(0, 1000) }
            }
            ["", "experiments"] => Self::Experiments(Chosen {
                owner: asked("owner"),
                name: asked("name"),
                state: Some(asked("state")).filter(|state| STATES.contains(&state.as_str())).unwrap_or_default(),
                before: asked("before").parse().ok(),
            }),
            ["", "experiments", text] => Self::Experiment(id(text)?),
            ["", "jobs", text] => Self::Job(id(text)?),
            ["", "results"] => Self::Results(Sorted {
                target: asked("target"),
                stage: asked("stage"),
                best: asked("best"),
                ascending: asked("order") == "ascending",
                own: String::new(),
            }),
            ["", "people"] => Self::People,
            _ => return None,
        })
    }
}

/// States by which experiments are chosen.
const STATES: [&str; 3] = ["live", "failed", "done"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_page_and_nonsense_none() {
        assert_eq!(Place::of("/", ""), Some(Place::Box));
        assert_eq!(Place::of("/queue", "part=3"), Some(Place::Queue { part: 3 }));
        assert_eq!(Place::of("/queue", "part=-3"), Some(Place::Queue { part: 0 }));
        assert_eq!(Place::of("/jobs/x", ""), None);
        assert_eq!(Place::of("/experiments/1/2", ""), None);
        let id = Uuid::nil();
        assert_eq!(Place::of(&format!("/jobs/{id}"), "a=b"), Some(Place::Job(id)));
        let chosen =
            Chosen { owner: "ann b".to_owned(), name: "<x>".to_owned(), state: "live".to_owned(), before: None };
        assert_eq!(Place::of("/experiments", "owner=ann+b&name=%3Cx%3E&state=live"), Some(Place::Experiments(chosen)));
        let mine = Chosen { owner: "ann".to_owned(), ..Chosen::default() };
        assert_eq!(Place::of("/experiments", "owner=@me").unwrap().asked_by("ann"), Place::Experiments(mine));
        assert_eq!(Place::of("/experiments", "state=%00odd"), Some(Place::Experiments(Chosen::default())));
    }
}

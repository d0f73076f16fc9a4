//! A question as it is asked.

use serde::{Deserialize, Serialize};
use tandem_domain::state::JobState;

/// What is asked; empty is left open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    /// The condition.
    pub(crate) condition: String,
    /// Only jobs in these states; empty: in any.
    pub(crate) states: Vec<JobState>,
    /// A job or experiment.
    pub(crate) target: String,
    pub(crate) owner: String,
    /// Only of who asks.
    pub(crate) mine: bool,
    /// One that was saved, by its name.
    pub(crate) view: String,
    /// The condition of that one.
    pub(crate) also: String,
    /// A time as people write it.
    pub(crate) since: String,
    pub(crate) tag: String,
    /// The name to sort by; the newest first if it is empty.
    pub(crate) order: String,
    /// Smallest first or largest first; else the best.
    pub(crate) ascending: Option<bool>,
    pub(crate) by: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) limit: u32,
    pub(crate) cursor: String,
}

impl Question {
    /// Which jobs alone.
    pub(crate) fn plain(self) -> Self {
        Self { order: String::new(), ascending: None, by: Vec::new(), columns: Vec::new(), ..self }
    }
}

/// What is kept of a question under a name: what it leaves open is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Saved {
    #[serde(rename = "where")]
    pub(crate) condition: String,
    pub(crate) target: String,
    pub(crate) owner: String,
    pub(crate) mine: bool,
    pub(crate) since: String,
    pub(crate) tag: String,
    pub(crate) order: String,
    pub(crate) ascending: Option<bool>,
    pub(crate) by: Vec<String>,
    pub(crate) columns: Vec<String>,
}

impl Saved {
    pub(crate) fn of(question: &Question) -> Self {
        let Question { condition, target, owner, mine, since, tag, order, ascending, by, columns, .. } =
            question.clone();
        Self { condition, target, owner, mine, since, tag, order, ascending, by, columns }
    }

    /// The question with what it leaves open as it was saved. Both conditions hold.
    pub(crate) fn under(self, question: Question) -> Question {
        let or = |own: String, saved: String| if own.is_empty() { saved } else { own };
        let names_people = question.mine || !question.owner.is_empty();
        let shows = !question.by.is_empty() || !question.columns.is_empty();
        let (owner, mine) = if names_people { (question.owner, question.mine) } else { (self.owner, self.mine) };
        let (by, columns) = if shows { (question.by, question.columns) } else { (self.by, self.columns) };
        let (order, ascending) = match question.order.is_empty() {
            true => (self.order, question.ascending.or(self.ascending)),
            false => (question.order, question.ascending),
        };
        Question {
            also: self.condition,
            target: or(question.target, self.target),
            since: or(question.since, self.since),
            tag: or(question.tag, self.tag),
            owner,
            mine,
            by,
            columns,
            order,
            ascending,
            ..question
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let text = |text: &str| text.to_owned();
        Saved {
            condition: text("stage = 'linear'"),
            owner: text("bob"),
            since: text("30d"),
            tag: text("v2"),
            order: text("accuracy"),
            ascending: Some(true),
            by: vec![text("encoder")],
            ..Saved::default()
        }
    }

    #[test]
    fn what_is_left_open_is_as_it_was_saved() {
        let asked = saved().under(Question { condition: "seed = 1".to_owned(), ..Question::default() });
        assert_eq!((asked.condition.as_str(), asked.also.as_str()), ("seed = 1", "stage = 'linear'"));
        assert_eq!((asked.owner.as_str(), asked.mine, asked.since.as_str()), ("bob", false, "30d"));
        assert_eq!(asked.tag, "v2");
        assert_eq!(
            (asked.order.as_str(), asked.ascending, asked.by.as_slice()),
            ("accuracy", Some(true), &["encoder".to_owned()][..])
        );
    }

    #[test]
    fn what_is_said_goes_before_what_was_saved() {
        let question = Question {
            mine: true,
            since: "1d".to_owned(),
            tag: "v3".to_owned(),
            order: "seed".to_owned(),
            columns: vec!["job".to_owned()],
            ..Question::default()
        };
        let asked = saved().under(question);
        assert_eq!((asked.owner.as_str(), asked.mine, asked.since.as_str()), ("", true, "1d"));
        assert_eq!(asked.tag, "v3");
        assert_eq!((asked.order.as_str(), asked.ascending), ("seed", None), "best first, as of any other");
        assert!(asked.by.is_empty() && asked.columns == ["job"]);
    }

    #[test]
    fn it_is_read_as_it_was_written_and_without_what_was_not_yet_there() {
        let written = serde_json::to_value(saved()).unwrap();
        assert_eq!(serde_json::from_value::<Saved>(written).unwrap(), saved());
        let older = serde_json::json!({ "where": "seed = 1" });
        assert_eq!(serde_json::from_value::<Saved>(older).unwrap().condition, "seed = 1");
    }
}

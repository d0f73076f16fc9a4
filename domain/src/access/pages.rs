//! The rules of the pages, beside those of the methods: which path is for whom.
//!
//! An action of a page is the method of the same deed, by that method's own rule.

use super::{
    identity::{Identity, Person},
    permit::permit,
    role::PersonRole,
    rules::{Least, Object, Rule, rule_of},
};

/// What a page's buttons do: the last part of `/actions/NAME`, and the method whose rule holds.
pub const ACTIONS: &[(&str, &str)] = &[
    ("cancel", "/tandem.v1.Jobs/Cancel"),
    ("pause", "/tandem.v1.Jobs/Pause"),
    ("resume", "/tandem.v1.Jobs/Resume"),
    ("requeue", "/tandem.v1.Jobs/Requeue"),
    ("priority", "/tandem.v1.Jobs/SetPriority"),
    ("hold", "/tandem.v1.Fleet/Hold"),
    ("unhold", "/tandem.v1.Fleet/Unhold"),
    ("drain", "/tandem.v1.Fleet/Drain"),
    ("undrain", "/tandem.v1.Fleet/Undrain"),
    ("release", "/tandem.v1.Fleet/Release"),
];

const fn open(name: &'static str) -> Rule {
    Rule { method: name, least: Least::Anybody, object: Object::Any, takes_once: false, streams: false }
}

const fn page(name: &'static str) -> Rule {
    Rule { least: Least::Person(PersonRole::Reader), ..open(name) }
}

static LOGIN: Rule = open("page/Login");
static ASSET: Rule = open("page/Asset");
static BOX: Rule = page("page/Box");
static QUEUE: Rule = page("page/Queue");
static EXPERIMENTS: Rule = page("page/Experiments");
static JOB: Rule = page("page/Job");
static RESULTS: Rule = page("page/Results");
static PEOPLE: Rule = page("page/People");
static LIVE: Rule = Rule { streams: true, ..page("page/Live") };
static FILE: Rule = Rule { streams: true, ..page("page/File") };

/// The rule of a page's path; `None` if there is no such page.
pub fn rule_of_page(path: &str) -> Option<&'static Rule> {
    let first = path.strip_prefix('/')?;
    let (first, rest) = first.split_once('/').map_or((first, None), |(first, rest)| (first, Some(rest)));
    match (first, rest) {
        ("login" | "logout", None) => Some(&LOGIN),
        ("assets", Some(_)) => Some(&ASSET),
        ("", None) => Some(&BOX),
        ("queue", None) => Some(&QUEUE),
        ("experiments", _) => Some(&EXPERIMENTS),
        ("jobs", Some(rest)) if rest.contains("/curves.") => Some(&FILE),
        ("jobs", Some(_)) => Some(&JOB),
        ("results", None) => Some(&RESULTS),
        (file, None) if file.starts_with("results.") => Some(&FILE),
        ("people", None) => Some(&PEOPLE),
        ("live", None) => Some(&LIVE),
        ("files", Some(_)) => Some(&FILE),
        ("actions", Some(name)) => {
            let (_, method) = ACTIONS.iter().find(|(action, _)| *action == name)?;
            rule_of(method)
        }
        _ => None,
    }
}

/// Whether `who` may do what a button of this name does, to something of the owner `of` (`None`: of nobody, or that is asked
/// elsewhere): who may not is shown no such button.
pub fn may_press(who: &Person, action: &str, of: Option<&str>) -> bool {
    let Some(rule) = rule_of_page(&format!("/actions/{action}")) else { return false };
    let may_call = permit(rule, &Identity::Person(who.clone())).is_ok();
    may_call && (rule.object != Object::Own || of.is_none_or(|owner| who.may_change(owner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_is_for_who_may_press_it() {
        let person = |name: &str, role| Person::without_token(name.to_owned(), role);
        let (reader, ann) = (person("ann", PersonRole::Reader), person("ann", PersonRole::Submitter));
        let root = person("root", PersonRole::Admin);
        for (action, _) in ACTIONS {
            assert!(!may_press(&reader, action, Some("ann")), "{action}");
            assert!(may_press(&root, action, Some("ann")), "{action}");
        }
        let of =
            |owner| ACTIONS.iter().map(|(action, _)| *action).filter(|action| may_press(&ann, action, owner)).collect();
        let own: Vec<&str> = of(Some("ann"));
        assert_eq!(own, ["cancel", "pause", "resume", "requeue", "priority", "hold", "unhold"]);
        let others: Vec<&str> = of(Some("bob"));
        assert_eq!(others, ["hold"], "a device is nobody's until it is held");
        assert!(!may_press(&root, "erase", None));
    }

    #[test]
    fn what_is_no_page_has_no_rule_and_only_the_way_in_is_open() {
        for path in ["", "/nothing", "/jobs", "/login/x", "/actions", "/actions/erase", "//", "/queue/1", "/people/ann"]
        {
            assert!(rule_of_page(path).is_none(), "{path}");
        }
        for path in [
            "/",
            "/queue",
            "/experiments",
            "/experiments/7",
            "/jobs/7",
            "/results",
            "/people",
            "/live",
            "/files/7",
            "/results.csv",
            "/jobs/7/curves.csv",
        ] {
            assert_eq!(rule_of_page(path).unwrap().least, Least::Person(PersonRole::Reader), "{path}");
        }
        for path in ["/login", "/logout", "/assets/a.css"] {
            assert_eq!(rule_of_page(path).unwrap().least, Least::Anybody, "{path}");
        }
    }

    #[test]
    fn an_action_has_the_rule_of_its_method() {
        for (action, method) in ACTIONS {
            assert_eq!(rule_of_page(&format!("/actions/{action}")).unwrap().method, *method);
        }
    }
}

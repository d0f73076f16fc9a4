//! Which coordinator a command asks, of those that were named or found. Pure.

use std::path::PathBuf;

/// Where a coordinator listens by default.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7077";

/// What was named and found. Empty texts count as not there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// By an option or a variable.
    pub(crate) server: Option<String>,
    /// By an option or a variable.
    pub(crate) context: Option<String>,
    pub(crate) running: Running,
    /// Whether somebody chose the home that `running` is of.
    pub(crate) home_was_chosen: bool,
    pub(crate) current_context: Option<String>,
    /// At well-known places; whether somebody listens there is asked when one is chosen.
    pub(crate) sockets: Vec<PathBuf>,
    /// The config file's server.
    pub(crate) configured: Option<String>,
}

/// This user's `tandem up`.
#[derive(Clone, Debug)]
pub(crate) enum Running {
    Here(String),
    /// And why it is taken to be so.
    Nothing(String),
    /// It may run or not.
    Unclear(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// With the certificates and the token of this context, or of one that lists the server.
    Server {
        server: String,
        context: Option<String>,
    },
    Context(String),
    /// Of this user's `tandem up`.
    Running(String),
    Socket(PathBuf),
    Configured(String),
    Default,
}

/// What to ask, and a remark where a person might expect another.
///
/// # Errors
/// Where somebody chose a home of which nothing can be told.
pub(crate) fn choose(found: &Found) -> Result<(Choice, Option<String>), String> {
    let set = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    if let Some(server) = set(&found.server) {
        return Ok((Choice::Server { server, context: set(&found.context) }, None));
    }
    if let Some(context) = set(&found.context) {
        return Ok((Choice::Context(context), None));
    }
    let why = match &found.running {
        Running::Here(server) => return Ok((Choice::Running(server.clone()), None)),
        Running::Unclear(why) if found.home_was_chosen => {
            return Err(format!("{why}; name the coordinator with --server"));
        }
        Running::Nothing(why) | Running::Unclear(why) => why,
    };
    let (choice, asked) = if let Some(context) = set(&found.current_context) {
        (Choice::Context(context.clone()), format!("the context {context}"))
    } else if let Some(path) = found.sockets.first() {
        (Choice::Socket(path.clone()), path.display().to_string())
    } else if let Some(server) = set(&found.configured) {
        (Choice::Configured(server.clone()), format!("{server}, as the config file says"))
    } else {
        let note = format!("asking {DEFAULT_SERVER}, the default: {why}; --server or TANDEM_SERVER names another");
        return Ok((Choice::Default, Some(note)));
    };
    // Who chose a home expects what runs there.
    let note = found.home_was_chosen.then(|| format!("asking {asked}: {why}"));
    Ok((choice, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> Found {
        let some = |text: &str| Some(text.to_owned());
        Found {
            server: some("https://box:1"),
            context: some("named"),
            running: Running::Here("unix:/home.sock".to_owned()),
            home_was_chosen: false,
            current_context: some("current"),
            sockets: vec!["/run/t.sock".into(), "/tmp/t.sock".into()],
            configured: some("https://configured:1"),
        }
    }

    #[test]
    fn the_nearest_word_wins() {
        let mut found = everything();
        let choice = |found: &Found| choose(found).unwrap().0;
        let server = "https://box:1".to_owned();
        assert_eq!(choice(&found), Choice::Server { server: server.clone(), context: Some("named".to_owned()) });
        found.context = Some(String::new());
        assert_eq!(choice(&found), Choice::Server { server, context: None });
        (found.server, found.context) = (Some(" ".to_owned()), Some("named".to_owned()));
        assert_eq!(choice(&found), Choice::Context("named".to_owned()));
        found.context = None;
        assert_eq!(choice(&found), Choice::Running("unix:/home.sock".to_owned()));
        found.running = Running::Nothing("nothing runs".to_owned());
        assert_eq!(choice(&found), Choice::Context("current".to_owned()));
        found.current_context = None;
        assert_eq!(choice(&found), Choice::Socket("/run/t.sock".into()));
        found.sockets.clear();
        assert_eq!(choice(&found), Choice::Configured("https://configured:1".to_owned()));
        assert_eq!(choose(&found).unwrap().1, None, "what is expected needs no remark");
        found.configured = None;
        let (choice, note) = choose(&found).unwrap();
        assert_eq!(choice, Choice::Default);
        assert!(note.unwrap().starts_with("asking http://127.0.0.1:7077, the default: nothing runs"));
    }

    #[test]
    fn a_home_that_was_chosen_is_not_passed_over_in_silence() {
        let unclear = Running::Unclear("cannot tell what runs".to_owned());
        let named = Found { server: None, context: None, running: unclear, ..everything() };
        assert_eq!(choose(&named).unwrap(), (Choice::Context("current".to_owned()), None));
        let chosen = Found { home_was_chosen: true, ..named };
        assert!(choose(&chosen).unwrap_err().contains("cannot tell what runs; name the coordinator with --server"));
        let nothing = Found { running: Running::Nothing("nothing runs in /t".to_owned()), ..chosen };
        assert_eq!(choose(&nothing).unwrap().1.as_deref(), Some("asking the context current: nothing runs in /t"));
    }
}

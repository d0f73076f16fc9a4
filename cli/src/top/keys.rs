//! What a key does. Pure: it changes what is shown, and returns what has to be asked of others.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::state::{Mode, Named, Opened, Pane, Said, State};

/// What this program cannot do by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Quit,
    Suspend,
    /// What is shown is of another job or metric than what is known.
    Ask,
    Cancel(Named),
    SetPriority(Named, i32),
}

const PAGE: usize = 10;
/// A filter or a number is no longer than that.
const LONGEST: usize = 100;

pub(crate) fn press(state: &mut State, key: KeyEvent) -> Option<Act> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Act::Quit),
            KeyCode::Char('z') => Some(Act::Suspend),
            _ => None,
        };
    }
    state.said = None;
    match std::mem::take(&mut state.mode) {
        Mode::Look if state.opened.is_some() => in_job(state, key.code),
        Mode::Look => in_list(state, key.code),
        // Any key leaves the help.
        Mode::Help => None,
        Mode::Filter => {
            in_filter(state, key.code);
            None
        }
        Mode::Cancel(job) => match key.code {
            KeyCode::Char('y' | 'Y') => Some(Act::Cancel(job)),
            _ => {
                state.said = Some(Said { text: format!("{} goes on", job.name), is_bad: false });
                None
            }
        },
        Mode::Priority(job, text) => in_priority(state, job, text, key.code),
    }
}

fn in_list(state: &mut State, key: KeyCode) -> Option<Act> {
    let pane = state.pane;
    let row = state.row(pane).unwrap_or(0);
    match key {
        KeyCode::Char('q') => return Some(Act::Quit),
        KeyCode::Up | KeyCode::Char('k') => state.choose(pane, row.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => state.choose(pane, row + 1),
        KeyCode::PageUp => state.choose(pane, row.saturating_sub(PAGE)),
        KeyCode::PageDown => state.choose(pane, row + PAGE),
        KeyCode::Home | KeyCode::Char('g') => state.choose(pane, 0),
        KeyCode::End | KeyCode::Char('G') => state.choose(pane, usize::MAX),
        KeyCode::Tab | KeyCode::Right => state.pane = Pane::ALL[(pane.place() + 1) % Pane::ALL.len()],
        KeyCode::BackTab | KeyCode::Left => state.pane = Pane::ALL[(pane.place() + 2) % Pane::ALL.len()],
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Esc => state.filter.clear(),
        KeyCode::Enter => {
            let Some(job) = state.chosen_job() else {
                return said(state, "no job is chosen");
            };
            state.opened = Some(Opened { job, ..Opened::default() });
            return Some(Act::Ask);
        }
        other => return anywhere(state, other),
    }
    None
}

fn in_job(state: &mut State, key: KeyCode) -> Option<Act> {
    let opened = state.opened.as_mut()?;
    let events = opened.detail.as_ref().map_or(0, |detail| detail.shown.events.len());
    let metrics = opened.metrics().len().max(1);
    match key {
        KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => state.opened = None,
        KeyCode::Up | KeyCode::Char('k') => opened.scroll = (opened.scroll + 1).min(events.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => opened.scroll = opened.scroll.saturating_sub(1),
        KeyCode::Tab | KeyCode::Right => {
            opened.metric = (opened.metric + 1) % metrics;
            return Some(Act::Ask);
        }
        KeyCode::BackTab | KeyCode::Left => {
            opened.metric = (opened.metric + metrics - 1) % metrics;
            return Some(Act::Ask);
        }
        other => return anywhere(state, other),
    }
    None
}

fn anywhere(state: &mut State, key: KeyCode) -> Option<Act> {
    match key {
        KeyCode::Char('?' | 'h') => state.mode = Mode::Help,
        KeyCode::Char('c') => match state.subject() {
            Some(job) => state.mode = Mode::Cancel(job),
            None => return said(state, "no job is chosen"),
        },
        KeyCode::Char('p') => match state.subject() {
            Some(job) => state.mode = Mode::Priority(job, String::new()),
            None => return said(state, "no job is chosen"),
        },
        _ => {}
    }
    None
}

fn said(state: &mut State, text: &str) -> Option<Act> {
    state.said = Some(Said { text: text.to_owned(), is_bad: false });
    None
}

fn in_filter(state: &mut State, key: KeyCode) {
    match key {
        KeyCode::Enter => return,
        KeyCode::Esc => {
            state.filter.clear();
            return;
        }
        KeyCode::Backspace => drop(state.filter.pop()),
        KeyCode::Char(char) if state.filter.len() < LONGEST && !char.is_control() => state.filter.push(char),
        _ => {}
    }
    state.mode = Mode::Filter;
}

fn in_priority(state: &mut State, job: Named, mut text: String, key: KeyCode) -> Option<Act> {
    match key {
        KeyCode::Esc => return None,
        KeyCode::Enter => {
            return match text.parse() {
                Ok(priority) => Some(Act::SetPriority(job, priority)),
                Err(_) => {
                    let text = format!("`{text}` is no priority: expected a whole number");
                    state.said = Some(Said { text, is_bad: true });
                    None
                }
            };
        }
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char(char) if text.len() < LONGEST && (char.is_ascii_digit() || char == '-') => text.push(char),
        _ => {}
    }
    state.mode = Mode::Priority(job, text);
    None
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{Job, JobState};

    use super::*;
    use crate::top::state::tests::busy_house;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn all(state: &mut State, codes: &[KeyCode]) -> Option<Act> {
        codes.iter().map(|code| press(state, key(*code))).last().flatten()
    }

    fn typed(state: &mut State, text: &str) -> Option<Act> {
        all(state, &text.chars().map(KeyCode::Char).collect::<Vec<_>>())
    }

    #[test]
    fn a_row_stays_chosen_while_others_come_and_go() {
        let mut state = busy_house();
        all(&mut state, &[KeyCode::Tab, KeyCode::Down]);
        let chosen = state.chosen_job().unwrap();
        assert_eq!(chosen.name, "sweep/encoder[lr=0.2]");
        let mut news = state.news.clone();
        news.waiting.insert(0, Job { id: "new".to_owned(), state: JobState::Queued.into(), ..Job::default() });
        state.heard(Ok(news), chrono::DateTime::UNIX_EPOCH);
        assert_eq!(state.chosen_job().unwrap(), chosen);
        state.news.waiting.truncate(1);
        assert_eq!(state.row(Pane::Waiting), Some(0), "it has gone: the last one");
        state.news.waiting.clear();
        assert_eq!((state.row(Pane::Waiting), state.chosen_job()), (None, None));
        assert_eq!(all(&mut state, &[KeyCode::Down, KeyCode::End, KeyCode::Enter]), None);
    }

    #[test]
    fn nothing_is_cancelled_without_a_yes() {
        let mut state = busy_house();
        assert_eq!(typed(&mut state, "c"), None);
        assert!(matches!(&state.mode, Mode::Cancel(job) if job.name == "quickstart/encoder"));
        assert_eq!(typed(&mut state, "n"), None);
        assert_eq!(state.said.as_ref().unwrap().text, "quickstart/encoder goes on");
        assert_eq!(all(&mut state, &[KeyCode::Char('c'), KeyCode::Enter]), None, "Enter is no yes");
        let act = typed(&mut state, "cy");
        assert!(matches!(act, Some(Act::Cancel(job)) if job.id == state.news.running[0].id));
        assert_eq!(state.mode, Mode::Look);
    }

    #[test]
    fn a_filter_is_typed_kept_and_taken_back() {
        let mut state = busy_house();
        // What is typed means no commands.
        assert_eq!(typed(&mut state, "/BOB q"), None);
        assert_eq!(state.running().len(), 0);
        all(&mut state, &[KeyCode::Backspace, KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((state.filter.as_str(), state.running().len(), &state.mode), ("BOB", 1, &Mode::Look));
        assert_eq!(state.running()[0].owner, "bob");
        press(&mut state, key(KeyCode::Esc));
        assert_eq!(state.running().len(), 2);
    }

    #[test]
    fn a_priority_is_a_number() {
        let mut state = busy_house();
        typed(&mut state, "p-1x2");
        let act = press(&mut state, key(KeyCode::Enter));
        assert!(matches!(act, Some(Act::SetPriority(job, -12)) if job.name == "quickstart/encoder"));
        typed(&mut state, "p-");
        assert_eq!(press(&mut state, key(KeyCode::Enter)), None);
        assert!(state.said.as_ref().unwrap().is_bad);
    }

    #[test]
    fn a_device_opens_what_it_runs_and_every_key_is_harmless() {
        let mut state = busy_house();
        assert_eq!(all(&mut state, &[KeyCode::BackTab, KeyCode::Enter]), Some(Act::Ask));
        assert_eq!(state.opened.as_ref().unwrap().job.name, "quickstart/encoder");
        assert_eq!(all(&mut state, &[KeyCode::Up, KeyCode::Down, KeyCode::Left]), Some(Act::Ask));
        assert_eq!(typed(&mut state, "?"), None);
        assert_eq!((typed(&mut state, "q"), state.opened.is_some()), (None, true), "q leaves the help");
        assert_eq!((typed(&mut state, "q"), state.opened.is_some()), (None, false), "and the job");
        assert_eq!(typed(&mut state, "q"), Some(Act::Quit));
        let mut state = State::default();
        for code in (0..=255u8).map(|byte| KeyCode::Char(byte.into())).chain([KeyCode::F(5), KeyCode::Null]) {
            press(&mut state, key(code));
        }
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(&mut state, interrupt), Some(Act::Quit));
    }
}

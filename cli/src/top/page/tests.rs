//! The screen as text, for terminals of several sizes, beside what `golden/` holds. `UPDATE_GOLDEN=1` writes these anew.

use std::{fs, path::Path};

use chrono::TimeDelta;
use ratatui::{Terminal, backend::TestBackend, style::Modifier};
use tandem_proto::{
    convert,
    v1::{Event, Series, ShowResponse, Withheld, WorkerState},
};

use super::*;
use crate::top::state::{
    Away, Detail, Mode, Opened,
    tests::{busy_house, now},
};

const PLAIN: Look = Look { color: false };

fn drawn(state: &State, look: Look, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(state, look, now(), frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..buffer.area.height).map(line).collect()
}

fn text(state: &State, width: u16, height: u16) -> String {
    lines(&drawn(state, PLAIN, width, height)).join("\n") + "\n"
}

/// A job that is opened, with a curve and events.
fn opened_job() -> State {
    let mut state = busy_house();
    let job = state.news.running[0].clone();
    state.opened = Some(Opened { job: state.chosen_job().unwrap(), ..Opened::default() });
    let event = |second, kind: &str, message: &str| Event {
        at: Some(convert::timestamp(now() - TimeDelta::seconds(second))),
        kind: kind.to_owned(),
        message: message.to_owned(),
        ..Event::default()
    };
    let events = vec![
        event(300, "submitted", "by ann"),
        event(130, "assigned", "attempt 1 to gpu-0"),
        event(120, "training", "from step 0"),
    ];
    let shown = ShowResponse { jobs: vec![job.clone()], events, ..ShowResponse::default() };
    let series = Series {
        name: "loss".to_owned(),
        steps: (0..43).collect(),
        values: (0..43).map(|step| 5.5 - f64::from(step).sqrt() / 6.5).collect(),
        ..Series::default()
    };
    state.heard_of(&job.id, Ok(Detail { shown, metric: "loss".to_owned(), series: Some(series) }));
    state
}

fn golden(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/top/golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, shown).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, golden, "{name}: {shown}");
}

#[test]
fn the_house_at_several_sizes() {
    for (width, height) in [(80, 24), (60, 20), (200, 50), (40, 12), (20, 5)] {
        golden(&format!("house-{width}x{height}"), &text(&busy_house(), width, height));
        golden(&format!("job-{width}x{height}"), &text(&opened_job(), width, height));
    }
}

#[test]
fn other_screens() {
    let mut state = busy_house();
    state.mode = Mode::Help;
    golden("help-80x24", &text(&state, 80, 24));
    state.mode = Mode::Cancel(state.chosen_job().unwrap());
    state.away = Some(Away { since: now() - TimeDelta::seconds(12), why: "connection refused".to_owned() });
    golden("away-80x24", &text(&state, 80, 24));
    golden("empty-80x24", &text(&State::new("https://box.example:7077", Default::default()), 80, 24));
}

#[test]
fn until_when_a_device_is_held_is_seen_in_narrow_terminals() {
    let mut state = busy_house();
    state.news.status.workers[2].state = WorkerState::Held.into();
    state.news.status.workers[2].hold = Some(Withheld {
        by: "carol".to_owned(),
        reason: "a notebook that must not be disturbed".to_owned(),
        until: Some(convert::timestamp(now() + TimeDelta::minutes(125))),
    });
    let row =
        |width| lines(&drawn(&state, PLAIN, width, 24)).into_iter().find(|line| line.starts_with("gpu-2")).unwrap();
    assert!(row(80).contains("2 h 05 min") && row(80).contains("until 02:15 UTC"), "{}", row(80));
    assert!(row(60).contains("held") && row(60).contains("2 h 05 min"), "{}", row(60));
    let quarantined =
        |width| lines(&drawn(&state, PLAIN, width, 24)).into_iter().find(|line| line.starts_with("gpu-3")).unwrap();
    assert!(quarantined(60).contains("20 min"), "{}", quarantined(60));
}

#[test]
fn no_size_is_too_small_and_every_line_stays_in_its_place() {
    let mut states = vec![busy_house(), opened_job(), State::default()];
    states[0].mode = Mode::Help;
    for state in &states {
        for width in (0..60).chain([79, 80, 81, 300]) {
            for height in (0..20).chain([24, 60]) {
                let buffer = drawn(state, Look { color: true }, width, height);
                assert_eq!((buffer.area.width, buffer.area.height), (width, height));
            }
        }
    }
}

#[test]
fn the_chosen_row_is_seen_however_far_down_it_is() {
    let mut state = busy_house();
    let one = state.news.waiting[0].clone();
    let many = (0..500).map(|i| tandem_proto::v1::Job { id: format!("{i}"), name: format!("job-{i}"), ..one.clone() });
    state.news.waiting = many.collect();
    state.pane = Pane::Waiting;
    state.choose(Pane::Waiting, 321);
    let buffer = drawn(&state, PLAIN, 80, 24);
    let row = lines(&buffer).iter().position(|line| line.contains("job-321")).unwrap();
    assert!(buffer[(0, u16::try_from(row).unwrap())].modifier.contains(Modifier::REVERSED));
}

#[test]
fn names_of_others_steer_nothing() {
    let mut state = busy_house();
    state.news.running[0].name = "a\u{1b}[2J\u{202e}b\n".to_owned();
    state.news.waiting[0].reason = "\u{7}\u{9b}31m日本語".to_owned();
    state.news.status.workers[0].name = "\u{1b}]0;x\u{7}".to_owned();
    for width in [20, 40, 80, 200] {
        let shown = text(&state, width, 24);
        let line_feeds_aside = shown.replace('\n', "");
        assert!(crate::printable::is(&line_feeds_aside), "{shown:?}");
    }
}

#[test]
fn without_colours_there_are_none() {
    let coloured = |look| drawn(&busy_house(), look, 80, 24).content.iter().any(|cell| cell.fg != Default::default());
    assert!(coloured(Look { color: true }) && !coloured(PLAIN));
}

#[test]
fn room_is_shared_by_need() {
    assert_eq!(heights([5, 3, 4], 30), [5, 3, 22]);
    assert_eq!(heights([40, 3, 400], 21), [9, 3, 9]);
    assert_eq!(heights([40, 40, 40], 7), [2, 2, 3]);
}

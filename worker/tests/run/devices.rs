//! Boxes that a fake NVML plays, through the real worker: what it tells its coordinator of them, and that it goes on.

use std::{path::PathBuf, process, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tandem_fake_nvml::boxes::{Card, FakeBox, Process};
use tandem_proto::v1::{self, NoteEvent, rank_event::Event as Kind, worker_message::Message};

use crate::{
    coordinator::{Coordinator, Session},
    worker::{Worker, assign, endless, eventually},
};

const GIB: u64 = 1 << 30;

/// A worker on a card of a box that can be changed.
struct OnACard {
    coordinator: Coordinator,
    session: Session,
    worker: Worker,
    file: PathBuf,
    // Dropped last: the file is in it.
    _folder: tempfile::TempDir,
}

impl OnACard {
    async fn start(first: &FakeBox) -> Self {
        let mut coordinator = Coordinator::start().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("box.json");
        first.write(&file).unwrap();
        let worker = Worker::start_on_a_card(&coordinator.url(), &file);
        let mut session = coordinator.session().await;
        session.skip_samples = false;
        Self { coordinator, session, worker, file, _folder: folder }
    }

    fn becomes(&self, next: &FakeBox) {
        next.write(&self.file).unwrap();
    }

    /// The next samples that are as `wanted`.
    async fn samples(&mut self, wanted: impl Fn(&v1::Samples) -> bool) -> v1::Samples {
        let samples = |message: &Message| match message {
            Message::Samples(samples) if wanted(samples) => Some(samples.clone()),
            _ => None,
        };
        self.session.until(&mut Vec::new(), samples).await
    }
}

fn with(card: Card) -> FakeBox {
    FakeBox { cards: vec![card], ..FakeBox::default() }
}

/// A process of somebody else, on the card.
struct Guest(process::Child);

impl Guest {
    fn start() -> Self {
        Self(process::Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn on_card(&self) -> Card {
        let processes = vec![Process { pid: self.0.id(), memory: Some(3 * GIB) }];
        Card { memory_used: 3 * GIB + (12 << 20), utilization: Some(96), processes, ..Card::default() }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn figures(samples: &v1::Samples) -> v1::DeviceFigures {
    samples.looks.last().and_then(|look| look.figures).unwrap_or_default()
}

#[tokio::test]
async fn a_free_card_is_told_before_the_worker_shows_that_it_is_fit() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    let device = on.session.register.device.clone().unwrap();
    assert_eq!((device.kind.as_str(), device.memory_bytes), ("cuda", 11 * GIB));
    on.session.skip_fitness = false;
    let first = on.session.next().await.unwrap();
    let Message::Samples(samples) = first else { panic!("{first:?} came first") };
    assert_eq!((samples.withheld.as_str(), samples.ailment.as_str(), samples.late.as_str()), ("", "", ""));
    let figures = figures(&samples);
    assert_eq!((figures.temperature_celsius, figures.sm_clock_max_mhz), (Some(34), Some(1911)));
    assert_eq!((figures.pcie_generation, figures.pcie_width), (Some(1), Some(16)));
    assert!(figures.state_free_bytes.is_some_and(|free| free > 0));
    on.session.skip_fitness = true;
    on.samples(|samples| samples.looks.iter().any(|look| look.figures.unwrap_or_default().store_free_bytes.is_some()))
        .await;
}

#[tokio::test]
async fn a_foreign_process_is_named_and_the_card_is_free_again_after_it() {
    let guest = Guest::start();
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|samples| samples.withheld.is_empty()).await;
    on.becomes(&with(guest.on_card()));
    let samples = on.samples(|samples| !samples.withheld.is_empty()).await;
    let pid = guest.0.id();
    assert!(samples.withheld.contains(&format!(": sleep (pid {pid}, 3.0 GiB)")), "{}", samples.withheld);
    let process = &samples.processes[0];
    assert_eq!((process.pid, process.name.as_str(), process.ours), (pid, "sleep", false));
    assert!(!process.user.is_empty() && process.since.is_some(), "{process:?}");
    on.becomes(&FakeBox::of(1));
    on.samples(|samples| samples.withheld.is_empty()).await;
}

#[tokio::test]
async fn a_card_that_is_taken_is_told_so_at_the_first_look() {
    let guest = Guest::start();
    let mut on = OnACard::start(&with(guest.on_card())).await;
    let first = on.samples(|_| true).await;
    assert!(first.withheld.starts_with("in use by "), "{first:?}");
}

#[tokio::test]
async fn a_guest_beside_a_rank_is_an_event_of_its_job_once() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|_| true).await;
    assign(&on.session, endless("a", 3)).await;
    eventually(|| on.worker.rank().is_some()).await;
    // No libtorch finds such a card: the rank is held as it is.
    let rank = Pid::from_raw(on.worker.rank().unwrap().cast_signed()).unwrap();
    kill_process(rank, Signal::STOP).unwrap();
    let guest = Guest::start();
    on.becomes(&with(guest.on_card()));
    let notes = async |session: &mut Session, seen: &mut Vec<v1::RankEvent>, until: &dyn Fn(&Message) -> bool| {
        session.until(seen, |message| until(message).then_some(())).await;
    };
    let mut seen = Vec::new();
    let guests = |events: &[v1::RankEvent]| -> Vec<NoteEvent> {
        let notes = events.iter().filter_map(|event| match &event.event {
            Some(Kind::Note(note)) if note.kind == "foreign process" => Some(note.clone()),
            _ => None,
        });
        notes.collect()
    };
    let told = |message: &Message| matches!(message, Message::Report(report) if !guests(&report.events).is_empty());
    notes(&mut on.session, &mut seen, &told).await;
    // It is seen again and again, and told once.
    for _ in 0..5 {
        notes(&mut on.session, &mut seen, &|message| matches!(message, Message::Samples(_))).await;
    }
    // So is an error that may be the rank's own fault, and no reason to think ill of the card.
    on.becomes(&with(Card { xids: vec![31], ..guest.on_card() }));
    let is_xid = |event: &v1::RankEvent| match &event.event {
        Some(Kind::Note(note)) => note.kind == "xid" && note.message == "the driver tells of Xid 31 on left",
        _ => false,
    };
    let told = |message: &Message| matches!(message, Message::Report(report) if report.events.iter().any(is_xid));
    notes(&mut on.session, &mut seen, &told).await;
    kill_process(rank, Signal::KILL).unwrap();
    notes(&mut on.session, &mut seen, &|message| matches!(message, Message::RankEnded(_))).await;
    let guests = guests(&seen);
    let pid = guest.0.id();
    assert_eq!(guests.len(), 1, "{guests:?}");
    assert!(guests[0].message.starts_with("left is used by others beside this job: "), "{guests:?}");
    assert!(guests[0].message.contains(&format!("sleep (pid {pid}, 3.0 GiB), since ")), "{guests:?}");
}

#[tokio::test]
async fn a_card_that_is_throttled_ails_by_the_clock_however_often_it_is_looked_at() {
    let hot = Card { throttle: Some(0x48), temperature: Some(96), ..Card::default() };
    let mut on = OnACard::start(&with(hot)).await;
    // Five times a second: that is twenty looks.
    for _ in 0..20 {
        let samples = on.samples(|samples| !samples.looks.is_empty()).await;
        assert_eq!((samples.ailment.as_str(), figures(&samples).throttle), ("", Some(0x48)));
        assert_eq!(samples.withheld, "");
    }
}

#[tokio::test]
async fn power_is_that_of_the_counter_of_energy_where_the_card_has_one() {
    let mut on = OnACard::start(&with(Card { energy_mw: Some(250_000), ..Card::default() })).await;
    let counted =
        |samples: &v1::Samples| figures(samples).power_watts.is_some_and(|watts| (200..=300).contains(&watts));
    on.samples(counted).await;
    // One that does not count says what it takes at the moment.
    on.becomes(&with(Card { power_mw: Some(31_000), ..Card::default() }));
    on.samples(|samples| figures(samples).power_watts == Some(31)).await;
}

#[tokio::test]
async fn a_card_whose_driver_tells_of_an_error_at_the_start_ails_at_the_first_look() {
    let text = include_str!("../../../fake-nvml/boxes/xid.json");
    let mut on = OnACard::start(&serde_json::from_str(text).unwrap()).await;
    let first = on.samples(|_| true).await;
    assert_eq!(first.ailment, "the card failed: it has fallen off the bus (Xid 79)");
}

#[tokio::test]
async fn a_rank_that_ends_badly_is_reported_after_a_new_look_at_its_card() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|_| true).await;
    assign(&on.session, endless("a", 3)).await;
    eventually(|| on.worker.rank().is_some()).await;
    let rank = Pid::from_raw(on.worker.rank().unwrap().cast_signed()).unwrap();
    kill_process(rank, Signal::STOP).unwrap();
    on.becomes(&with(Card { error: Some(15), ..Card::default() }));
    kill_process(rank, Signal::KILL).unwrap();
    let mut seen = Vec::new();
    let mut ails = false;
    let known = |message: &Message| match message {
        Message::Samples(samples) => {
            ails |= !samples.ailment.is_empty();
            None
        }
        Message::RankEnded(_) => Some(ails),
        _ => None,
    };
    assert!(on.session.until(&mut seen, known).await, "who decides about the job knows of the card");
}

#[tokio::test]
async fn a_card_with_an_xid_of_its_hardware_ails_and_one_of_a_program_does_not() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|_| true).await;
    on.becomes(&with(Card { xids: vec![13], ..Card::default() }));
    for _ in 0..5 {
        assert_eq!(on.samples(|_| true).await.ailment, "");
    }
    on.becomes(&with(Card { xids: vec![13, 79], ..Card::default() }));
    let samples = on.samples(|samples| !samples.ailment.is_empty()).await;
    assert_eq!(samples.ailment, "the card failed: it has fallen off the bus (Xid 79)");
}

#[tokio::test]
async fn a_lost_card_is_given_to_nobody_and_may_come_back() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|_| true).await;
    on.becomes(&with(Card { error: Some(15), ..Card::default() }));
    let samples = on.samples(|samples| !samples.ailment.is_empty()).await;
    assert!(samples.ailment.contains("fallen off the bus") && samples.ailment_lasts, "{samples:?}");
    assert_eq!(samples.withheld, samples.ailment);
    on.becomes(&FakeBox::of(1));
    on.samples(|samples| samples.ailment.is_empty() && samples.withheld.is_empty()).await;
}

#[tokio::test]
async fn a_driver_that_lies_is_not_believed() {
    let text = include_str!("../../../fake-nvml/boxes/lying.json");
    let mut on = OnACard::start(&serde_json::from_str(text).unwrap()).await;
    let samples = on.samples(|samples| !samples.looks.is_empty()).await;
    let v1::DeviceFigures { state_free_bytes, store_free_bytes, .. } = figures(&samples);
    let known = v1::DeviceFigures {
        memory_total_bytes: Some(11 * GIB),
        sm_clock_max_mhz: Some(1911),
        memory_clock_max_mhz: Some(5505),
        state_free_bytes,
        store_free_bytes,
        ..Default::default()
    };
    assert_eq!(figures(&samples), known);
    assert!(samples.processes.is_empty() && samples.withheld.is_empty(), "{samples:?}");
}

#[tokio::test]
async fn a_driver_that_is_slow_holds_up_nothing_and_is_said_to_be_late() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|_| true).await;
    on.becomes(&with(Card { slow_ms: 3_000, ..Card::default() }));
    let late = on.samples(|samples| !samples.late.is_empty()).await;
    assert!(late.late.contains("has not answered") && late.looks.is_empty(), "{late:?}");
    // Heartbeats go on: the coordinator would be taken for deaf after 1.5 s without one.
    tokio::time::timeout(Duration::from_secs(4), async { while on.samples(|_| true).await.late.is_empty() {} })
        .await
        .unwrap();
    assert!(on.coordinator.is_alone().await, "the stream is the same one");
    on.becomes(&FakeBox::of(1));
    on.samples(|samples| samples.late.is_empty() && !samples.looks.is_empty()).await;
}

#[tokio::test]
async fn a_driver_that_breaks_down_is_said_to_and_the_worker_goes_on() {
    let mut on = OnACard::start(&FakeBox::of(1)).await;
    on.samples(|_| true).await;
    on.becomes(&FakeBox { error: Some(999), ..FakeBox::of(1) });
    let late = on.samples(|samples| !samples.late.is_empty()).await;
    assert!(late.late.starts_with("NVML answers nothing: "), "{late:?}");
    on.becomes(&FakeBox::of(1));
    on.samples(|samples| samples.late.is_empty()).await;
}

#[tokio::test]
async fn a_processor_tells_its_machine() {
    let mut coordinator = Coordinator::start().await;
    let folders = tempfile::tempdir().unwrap();
    let _worker = Worker::start_in(folders, &coordinator.url(), &["--sample-every", "200ms"]);
    let mut session = coordinator.session().await;
    session.skip_samples = false;
    let is_whole = |message: &Message| match message {
        Message::Samples(samples) => {
            let known = figures(samples);
            let has_all = known.utilization_percent.is_some() && known.store_free_bytes.is_some();
            has_all.then(|| samples.clone())
        }
        _ => None,
    };
    let samples = session.until(&mut Vec::new(), is_whole).await;
    let known = figures(&samples);
    assert!(known.load.is_some() && known.memory_used_bytes < known.memory_total_bytes, "{known:?}");
    assert!(known.temperature_celsius.is_none() && samples.withheld.is_empty() && samples.processes.is_empty());
}

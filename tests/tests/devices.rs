//! Boxes that a fake NVML plays, from the card to what a person is told and who is given work: a real worker, a real coordinator.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use anyhow::Result;
use tandem_fake_nvml::{
    BOX_FILE,
    boxes::{Card, FakeBox, Process as OnCard},
};
use tandem_harness::{Binaries, Coordinator, Outcome, Process, Program, command, run, until};

const MINUTE: Duration = Duration::from_secs(60);

const EXPERIMENT: &str = "name = \"here\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\n\
                          encoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 64\n";

/// A coordinator whose workers hold cards of a box that can be changed.
struct House {
    coordinator: Coordinator,
    file: PathBuf,
}

impl House {
    fn start(first: &FakeBox) -> Result<Self> {
        let coordinator = Coordinator::start(&Binaries::beside_this_program()?)?;
        let file = coordinator.folder().join("box.json");
        first.write(&file)?;
        Ok(Self { coordinator, file })
    }

    fn becomes(&self, next: &FakeBox) -> Result<()> {
        Ok(next.write(&self.file)?)
    }

    /// On the card of that number.
    fn worker(&self, card: u32) -> Result<Process> {
        let (name, folder) = (format!("gpu-{card}"), self.coordinator.folder());
        // Cargo puts it beside the tests.
        let library = env::current_exe()?.with_file_name("libtandem_fake_nvml.so");
        let log = folder.join(&name).with_extension("log");
        Program::new(&name, &Binaries::beside_this_program()?.worker, &log)
            .args(["run", "--server", &self.coordinator.address, "--name", &name, "--sample-every", "200ms"])
            .args(["--device".to_owned(), format!("cuda:{card}")])
            .args([PathBuf::from("--token-file"), self.coordinator.worker_token(&name)?])
            .args([PathBuf::from("--data"), folder.join("data"), PathBuf::from("--state"), folder.join(&name)])
            .args([PathBuf::from("--nvml"), library])
            .env(BOX_FILE, &self.file)
            .start()
    }

    fn tandem(&self, args: &[&str]) -> Outcome {
        let tandem = Binaries::beside_this_program().unwrap().tandem;
        run(command(&tandem).args(["--server", &self.coordinator.server()]).args(args), "")
    }

    /// Waits until what this command says has all these words in it.
    fn says(&self, args: &[&str], words: &[&str]) -> String {
        until(&format!("`tandem {}` says {words:?}", args.join(" ")), MINUTE, || {
            let said = self.tandem(args).stdout;
            words.iter().all(|word| said.contains(word)).then_some(said)
        })
    }
}

fn with(card: Card) -> FakeBox {
    FakeBox { cards: vec![card], ..FakeBox::default() }
}

#[test]
fn a_card_in_foreign_use_is_waited_for_and_given_out_once_it_is_free() -> Result<()> {
    let house = House::start(&FakeBox::of(1))?;
    let _worker = house.worker(0)?;
    house.says(&["status"], &["gpu-0", "idle", "34 °C", "of 11.0 GiB"]);
    let mut guest = Command::new("sleep").arg("1000").spawn()?;
    let processes = vec![OnCard { pid: guest.id(), memory: Some(3 << 30) }];
    house.becomes(&with(Card { memory_used: 3 << 30, utilization: Some(96), processes, ..Card::default() }))?;
    let by = format!("sleep (pid {}, 3.0 GiB)", guest.id());
    house.says(&["status"], &["in use", &by]);

    let file = house.coordinator.folder().join("experiment.toml");
    fs::write(&file, EXPERIMENT)?;
    let submitted = house.tandem(&["submit", &file.to_string_lossy()]);
    assert_eq!(submitted.code, 0, "{submitted:#?}");
    house.says(&["list"], &["waits for 1 cuda worker: gpu-0 is in use by", &by]);
    house.says(&["devices", "gpu-0"], &["in use", &guest.id().to_string(), "not ours", "96 %"]);
    let leases = || house.coordinator.database.value::<i64>("SELECT count(*) FROM leases");
    assert_eq!(leases()?, 0);

    guest.kill()?;
    guest.wait()?;
    house.becomes(&FakeBox::of(1))?;
    until("it is given out", MINUTE, || (leases().ok()? > 0).then_some(()));
    Ok(())
}

#[test]
fn a_card_that_fails_is_quarantined_until_somebody_releases_it() -> Result<()> {
    let house = House::start(&FakeBox::of(1))?;
    let _worker = house.worker(0)?;
    house.says(&["status"], &["idle"]);
    house.becomes(&with(Card { xids: vec![13, 79], ..Card::default() }))?;
    house.says(&["status"], &["quarantined", "it has fallen off the bus (Xid 79)", "tandem release gpu-0"]);
    assert_eq!(house.tandem(&["release", "gpu-0"]).code, 0);
    house.says(&["status"], &["idle"]);
    // A card that is not there is no card, whoever says so.
    house.becomes(&with(Card { error: Some(15), ..Card::default() }))?;
    house.says(&["status"], &["quarantined", "its driver says that it is lost"]);
    house.tandem(&["release", "gpu-0"]);
    house.says(&["status"], &["quarantined", "its driver says that it is lost"]);
    Ok(())
}

#[test]
fn a_card_that_had_failed_before_its_worker_starts_is_given_to_nobody() -> Result<()> {
    let house = House::start(&FakeBox::of(1))?;
    let mut worker = house.worker(0)?;
    house.says(&["status"], &["idle"]);
    worker.kill();
    house.becomes(&with(Card { error: Some(15), ..Card::default() }))?;
    let mut worker = house.worker(0)?;
    house.says(&["status"], &["quarantined", "its driver says that it is lost"]);
    house.becomes(&FakeBox::of(1))?;
    house.tandem(&["release", "gpu-0"]);
    house.says(&["status"], &["idle"]);
    worker.kill();
    house.becomes(&serde_json::from_str(include_str!("../../fake-nvml/boxes/xid.json"))?)?;
    let _worker = house.worker(0)?;
    house.says(&["status"], &["quarantined", "it has fallen off the bus (Xid 79)"]);
    Ok(())
}

#[test]
fn four_cards_are_shown_and_a_driver_that_lies_or_is_slow_costs_nobody_anything() -> Result<()> {
    let four: FakeBox = serde_json::from_str(include_str!("../../fake-nvml/boxes/four-1080ti.json"))?;
    let house = House::start(&four)?;
    let _workers = (0..4).map(|card| house.worker(card)).collect::<Result<Vec<_>>>()?;
    // What uses the first two cannot be seen: they were taken before anybody looked.
    let said = house.says(&["devices"], &["gpu-0", "gpu-1", "gpu-2", "gpu-3", "79 °C", "243 W", "at its power limit"]);
    assert_eq!(said.matches("somebody whose processes cannot be seen from here").count(), 2, "{said}");
    let mut lying = four.clone();
    lying.cards[2] = serde_json::from_str::<FakeBox>(include_str!("../../fake-nvml/boxes/lying.json"))?.cards.remove(0);
    lying.cards[2].uuid.clone_from(&four.cards[2].uuid);
    lying.cards[3].slow_ms = 3000;
    house.becomes(&lying)?;
    let said = house.says(&["devices"], &["gpu-3: how it is now is not known: its driver has not answered"]);
    assert!(!said.contains("4294967295"), "{said}");
    let idle = house.says(
        &["status"],
        &["gpu-2: its driver says what cannot be of its load, memory in use", "gpu-3: how it is now is not known"],
    );
    assert_eq!(idle.matches("idle").count(), 2, "{idle}");
    let of = |worker: &str| idle.lines().find(|line| line.starts_with(worker)).unwrap().to_owned();
    assert!(!of("gpu-2 ").contains(" 0 %") && !of("gpu-3 ").contains(" 0 %"), "what is not known is no 0: {idle}");
    let json: serde_json::Value = serde_json::from_str(&house.tandem(&["status", "--json"]).stdout)?;
    let facts = &json["workers"][2]["facts"];
    assert!(facts.get("utilization_percent").is_none() && facts.get("memory_used_bytes").is_none(), "{json}");
    assert!(facts["remark"].as_str().unwrap().contains("cannot be"), "{json}");
    Ok(())
}

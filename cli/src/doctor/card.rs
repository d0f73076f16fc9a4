//! What the facts of this machine's cards mean.

use tandem_domain::datasets::size;

use super::check::Check;

/// Hotter than this, cards slow themselves down soon.
const HOT: u32 = 88;
/// No card is this hot and says so.
const HOTTEST: u32 = 150;
/// Of a card's memory: what others may hold before a job of ours will miss it.
const USED_BY_OTHERS: f64 = 0.2;

/// What the driver says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cards {
    pub(super) driver: String,
    /// The newest CUDA that it serves, as 12.4.
    pub(super) cuda: String,
    pub(super) cards: Vec<Card>,
    /// Pairs of which the driver says whether they reach each other's memory, ...
    pub(super) known_pairs: usize,
    /// ... and those that do not.
    pub(super) apart: Vec<(u32, u32)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Card {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) capability: Option<(i32, i32)>,
    pub(super) memory: Option<(u64, u64)>,
    pub(super) temperature: Option<u32>,
    /// Words of the reasons why it runs slower than it could.
    pub(super) throttled: Vec<String>,
    pub(super) processes: usize,
    /// Why nothing is known of it.
    pub(super) problem: Option<String>,
}

/// Why there is no word of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoDriver {
    /// Its library is not there.
    NoLibrary(String),
    /// It is, and is of another version than the driver in the kernel.
    OtherVersion,
    NotLoaded(String),
    /// It was named for this run alone, so somebody expects it to be there.
    Named(String),
    Other(String),
}

/// `on_the_bus`: NVIDIA's cards, as the kernel lists them without a driver. `nodes`: the driver's device nodes.
pub(super) fn judge(cards: Result<Cards, NoDriver>, on_the_bus: usize, nodes: usize) -> Vec<Check> {
    const DRIVER: &str = "driver";
    let cards = match cards {
        Ok(cards) => cards,
        Err(NoDriver::NoLibrary(_) | NoDriver::NotLoaded(_)) if on_the_bus == 0 && nodes == 0 => {
            return vec![Check::ok(DRIVER, "no NVIDIA card in this machine: workers train on its processors")];
        }
        Err(NoDriver::NoLibrary(why)) if nodes > 0 => {
            let advice = "in a container: start it with `--gpus all` (nvidia-container-toolkit); on a host: install the \
                          driver's libraries (Debian: libnvidia-ml1)";
            return vec![Check::bad(
                DRIVER,
                format!("the cards' nodes are there, and the driver's library is not: {why}"),
                advice,
            )];
        }
        Err(NoDriver::NoLibrary(why) | NoDriver::NotLoaded(why)) => {
            let advice =
                "install it (Debian: nvidia-driver), or load it: `modprobe nvidia`; `dmesg` says why that fails";
            return vec![Check::bad(
                DRIVER,
                format!("{} of NVIDIA on the bus, and no driver: {why}", counted(on_the_bus, "card")),
                advice,
            )];
        }
        Err(NoDriver::Named(why)) => {
            return vec![Check::bad(
                DRIVER,
                format!("the library of TANDEM_NVML does not serve: {why}"),
                "unset TANDEM_NVML for the driver's own",
            )];
        }
        Err(NoDriver::OtherVersion) => {
            let advice = "the driver was updated while the old one is loaded: reboot, or stop what uses the cards and \
                          `rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia`";
            return vec![Check::bad(DRIVER, "its library and its kernel module are of two versions", advice)];
        }
        Err(NoDriver::Other(why)) => {
            return vec![Check::bad(
                DRIVER,
                why,
                "`nvidia-smi` says more; `dmesg | grep -i nvrm` has the driver's own words",
            )];
        }
    };
    let count = cards.cards.len();
    let mut checks = vec![if count < on_the_bus {
        let found = format!("{}, CUDA {}: sees {count} of {}", cards.driver, cards.cuda, counted(on_the_bus, "card"));
        Check::warn(
            DRIVER,
            found,
            "`nvidia-smi -L` lists those it sees; `dmesg | grep -i nvrm` says what is with the others",
        )
    } else {
        Check::ok(DRIVER, format!("{}, CUDA {}, {}", cards.driver, cards.cuda, counted(count, "card")))
    }];
    checks.extend(cards.cards.iter().map(of_card));
    checks.extend(of_peers(&cards));
    checks
}

fn counted(count: usize, what: &str) -> String {
    match (count, what.ends_with('s')) {
        (1, _) => format!("1 {what}"),
        (_, true) => format!("{count} {what}es"),
        (_, false) => format!("{count} {what}s"),
    }
}

fn of_card(card: &Card) -> Check {
    let what = format!("card {}", card.index);
    let is_odd =
        card.memory.is_some_and(|(used, total)| used > total) || card.temperature.is_some_and(|heat| heat > HOTTEST);
    if is_odd && card.problem.is_none() {
        let found = format!("{}: the driver says of it what cannot be", card.name);
        return Check::warn(
            what,
            found,
            "`nvidia-smi` shows whether that goes on; a newer driver, or a reboot, may end it",
        );
    }
    if let Some(problem) = &card.problem {
        let advice = "it may have fallen off the bus: `dmesg | grep -i xid` has the driver's reason; a reboot brings it back, \
                      unless it is broken, badly seated or too hot";
        return Check::bad(what, format!("{}: {problem}", card.name), advice);
    }
    let capability = card.capability.map(|(major, minor)| format!(", compute capability {major}.{minor}"));
    let memory = card.memory.map(|(used, total)| format!(", {} of {} used", size(used), size(total)));
    let heat = card.temperature.map(|celsius| format!(", {celsius} °C"));
    let found = [Some(card.name.clone()), capability, memory, heat].into_iter().flatten().collect::<String>();
    if !card.throttled.is_empty() || card.temperature.is_some_and(|celsius| celsius >= HOT) {
        let why = if card.throttled.is_empty() { "hot".to_owned() } else { card.throttled.join(", ") };
        let advice =
            "it runs slower than it could: look at fans and dust, at the power supply, and at what stands beside it";
        return Check::warn(what, format!("{found}; {why}"), advice);
    }
    let is_used = card.memory.is_some_and(|(used, total)| used as f64 > total as f64 * USED_BY_OTHERS);
    if is_used && card.processes > 0 {
        let advice = "fine if Tandem trains there (`tandem status`); `nvidia-smi` names the processes of others";
        return Check::warn(what, format!("{found}, by {}", counted(card.processes, "process")), advice);
    }
    Check::ok(what, found)
}

fn of_peers(cards: &Cards) -> Option<Check> {
    const PEERS: &str = "peer access";
    if cards.known_pairs == 0 {
        return None;
    }
    let Some((first, second)) = cards.apart.first() else {
        return Some(Check::ok(PEERS, "each card reaches the memory of each other"));
    };
    let found = format!("{} pairs do not reach each other's memory, such as {first} and {second}", cards.apart.len());
    Some(Check::warn(
        PEERS,
        found,
        "gangs over these cards work, by way of the host's memory, and slower: cards of consumers cannot do it; on servers look at \
         IOMMU and ACS in the firmware",
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::check::Grade, *};

    fn card(index: u32) -> Card {
        Card {
            index,
            name: "NVIDIA GeForce GTX 1080 Ti".to_owned(),
            capability: Some((6, 1)),
            memory: Some((100 << 20, 11 << 30)),
            temperature: Some(45),
            ..Card::default()
        }
    }

    fn box_of(cards: Vec<Card>) -> Cards {
        let known_pairs = cards.len() * cards.len().saturating_sub(1) / 2;
        Cards { driver: "550.54".to_owned(), cuda: "12.4".to_owned(), cards, known_pairs, apart: Vec::new() }
    }

    fn grades(checks: &[Check]) -> Vec<Grade> {
        checks.iter().map(|check| check.grade).collect()
    }

    #[test]
    fn four_free_cards_are_five_good_lines_and_how_they_reach_each_other() {
        let cards = Cards { apart: vec![(0, 1), (0, 2)], ..box_of((0..4).map(card).collect()) };
        let checks = judge(Ok(cards), 4, 4);
        assert_eq!(grades(&checks), [vec![Grade::Ok; 5], vec![Grade::Warn]].concat());
        assert_eq!(
            checks[1].found,
            "NVIDIA GeForce GTX 1080 Ti, compute capability 6.1, 100.0 MiB of 11.0 GiB used, 45 °C"
        );
        assert!(checks[5].found.starts_with("2 pairs") && checks[5].advice.contains("slower"), "{checks:?}");
        assert_eq!(judge(Ok(box_of(vec![card(0)])), 1, 1).len(), 2, "one card has no peers");
    }

    #[test]
    fn what_is_wrong_with_a_card_is_said_with_what_to_do() {
        let of = |card: Card| of_card(&card);
        let throttled = of(Card { throttled: vec!["slowed down by heat".to_owned()], ..card(0) });
        assert!(throttled.grade == Grade::Warn && throttled.found.ends_with("slowed down by heat"), "{throttled:?}");
        assert_eq!(of(Card { temperature: Some(93), ..card(0) }).grade, Grade::Warn);
        let used = of(Card { memory: Some((9 << 30, 11 << 30)), processes: 2, ..card(0) });
        assert!(used.grade == Grade::Warn && used.advice.contains("nvidia-smi"), "{used:?}");
        let lying = of(Card { memory: Some((u64::MAX, 11 << 30)), temperature: Some(u32::MAX), ..card(0) });
        assert!(lying.grade == Grade::Warn && lying.found.ends_with("what cannot be"), "{lying:?}");
        let lost = of(Card { problem: Some("GPU is lost".to_owned()), ..card(0) });
        assert!(lost.grade == Grade::Bad && lost.advice.contains("xid"), "{lost:?}");
        assert_eq!(
            of(Card { index: 7, name: "x".to_owned(), ..Card::default() }),
            Check::ok("card 7", "x"),
            "nothing known"
        );
    }

    #[test]
    fn each_way_in_which_there_is_no_driver_has_its_own_advice() {
        let no = |why: NoDriver, bus, nodes| judge(Err(why), bus, nodes).remove(0);
        let library = || NoDriver::NoLibrary("libnvidia-ml.so.1: no such file".to_owned());
        assert_eq!(no(library(), 0, 0).grade, Grade::Ok);
        assert!(no(library(), 0, 1).advice.contains("--gpus all"));
        assert!(no(library(), 2, 0).found.contains("2 cards of NVIDIA on the bus"));
        assert_eq!(no(NoDriver::Named("odd".to_owned()), 0, 0).grade, Grade::Bad);
        assert!(no(NoDriver::OtherVersion, 1, 1).advice.contains("reboot"));
        assert!(no(NoDriver::Other("odd".to_owned()), 1, 1).advice.contains("dmesg"));
        let some = judge(Ok(box_of(vec![card(0)])), 2, 2);
        assert!(some[0].grade == Grade::Warn && some[0].found.contains("1 of 2 cards"), "{some:?}");
    }
}

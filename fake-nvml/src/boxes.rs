//! What a box is: its driver, its cards, and what goes wrong.

use serde::{Deserialize, Serialize};

const GIB: u64 = 1 << 30;

/// A machine, as NVML would tell it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeBox {
    /// Where the figures are from: the card and the day of a recording, or `invented`.
    pub origin: String,
    pub driver: String,
    /// How long each call takes.
    pub slow_ms: u64,
    /// What each call returns in place of an answer: a number of `nvmlReturn_t`.
    pub error: Option<u32>,
    pub cards: Vec<Card>,
}

/// One card. What is `None` is not supported by it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Card {
    pub name: String,
    pub uuid: String,
    pub memory_total: u64,
    pub memory_used: u64,
    pub utilization: Option<u32>,
    pub temperature: Option<u32>,
    pub power_mw: Option<u32>,
    /// By how much its counter of energy rises in a second, in millijoules: since Volta.
    pub energy_mw: Option<u32>,
    pub sm_clock: Option<u32>,
    pub sm_clock_max: Option<u32>,
    pub memory_clock: Option<u32>,
    pub memory_clock_max: Option<u32>,
    /// Bits, as NVML has them.
    pub throttle: Option<u64>,
    pub pcie: Option<Pcie>,
    /// Of those that compute, and of those that draw.
    pub processes: Vec<Process>,
    pub drawing: Vec<Process>,
    /// Xid errors since the box began. Each is told once to whoever waits for events; those of its start wait for the first who does.
    pub xids: Vec<u64>,
    /// Uncorrected, since the driver was loaded.
    pub ecc_errors: Option<u64>,
    pub compute_capability: (i32, i32),
    /// As [`FakeBox::slow_ms`] and [`FakeBox::error`], for this card alone.
    pub slow_ms: u64,
    pub error: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pcie {
    pub rx_kb_per_s: u32,
    pub tx_kb_per_s: u32,
    pub generation: u32,
    pub width: u32,
    pub max_generation: u32,
    pub max_width: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub pid: u32,
    /// `None` where NVML does not know it.
    pub memory: Option<u64>,
}

impl Default for FakeBox {
    fn default() -> Self {
        let (origin, driver) = ("invented".to_owned(), "535.183.01".to_owned());
        Self { origin, driver, slow_ms: 0, error: None, cards: vec![Card::default()] }
    }
}

impl Default for Card {
    /// A GTX 1080 Ti that does nothing.
    fn default() -> Self {
        Self {
            name: "NVIDIA GeForce GTX 1080 Ti".to_owned(),
            uuid: "GPU-00000000-0000-0000-0000-000000000000".to_owned(),
            memory_total: 11 * GIB,
            memory_used: 12 << 20,
            utilization: Some(0),
            temperature: Some(34),
            power_mw: Some(9_000),
            energy_mw: None,
            sm_clock: Some(139),
            sm_clock_max: Some(1_911),
            memory_clock: Some(405),
            memory_clock_max: Some(5_505),
            throttle: Some(1),
            pcie: Some(Pcie {
                rx_kb_per_s: 0,
                tx_kb_per_s: 0,
                generation: 1,
                width: 16,
                max_generation: 3,
                max_width: 16,
            }),
            processes: Vec::new(),
            drawing: Vec::new(),
            xids: Vec::new(),
            ecc_errors: None,
            compute_capability: (6, 1),
            slow_ms: 0,
            error: None,
        }
    }
}

impl FakeBox {
    /// `count` cards that do nothing.
    #[must_use]
    pub fn of(count: u8) -> Self {
        let uuid = |index| format!("GPU-00000000-0000-0000-0000-{index:012}");
        let cards = (0..count).map(|index| Card { uuid: uuid(index), ..Card::default() }).collect();
        Self { cards, ..Self::default() }
    }

    /// Writes the box as a file, whole or not at all: somebody may read it now.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write(&self, file: &std::path::Path) -> std::io::Result<()> {
        let beside = file.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(beside, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boxes_of_this_folder_are_read_and_say_where_they_are_from() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("boxes");
        let mut names = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let known: FakeBox =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(text.contains("\"origin\""), "{}", file.display());
            assert!(!known.cards.is_empty());
            names.push(file.file_stem().unwrap().to_string_lossy().into_owned());
        }
        names.sort();
        let wanted = ["broken", "foreign", "four-1080ti", "free", "lost", "lying", "slow", "throttled", "xid"];
        assert_eq!(names, wanted);
    }
}

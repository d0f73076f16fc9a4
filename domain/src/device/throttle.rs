//! Why a card runs slower than it could, in words.

/// Bits of NVML's `nvmlClocksEventReasons`, and what they mean to a person.
const REASONS: [(u64, &str); 9] = [
    (IDLE, "idle"),
    (0x2, "clocks set by somebody"),
    (0x4, "at its power limit"),
    (SLOWDOWN, "slowed by hardware"),
    (0x10, "waits for another card's clocks"),
    (0x20, "warm"),
    (TOO_HOT, "too hot"),
    (POWER_BRAKE, "braked by its power supply"),
    (0x100, "clocks of the display"),
];
const IDLE: u64 = 0x1;
const SLOWDOWN: u64 = 0x8;
const TOO_HOT: u64 = 0x40;
const POWER_BRAKE: u64 = 0x80;

/// Drivers may have more of them than we know; so many they are never.
const BITS_MAX: u64 = u32::MAX as u64;

/// The bits that have words here; `None` if they cannot be.
pub fn known(bits: u64) -> Option<u64> {
    let all = REASONS.iter().fold(0, |all, (bit, _)| all | bit);
    // A card that is idle is not slowed by anything else.
    (bits <= BITS_MAX && bits & all != all).then_some(bits & all)
}

/// The reasons, the worst last; none for a card that is merely idle.
pub fn words(bits: u64) -> Vec<&'static str> {
    REASONS.iter().filter(|(bit, _)| bits & bit != 0 && *bit != IDLE).map(|(_, words)| *words).collect()
}

/// Whether the hardware defends itself: that is no setting, and no work makes it right.
pub fn is_by_hardware(bits: u64) -> bool {
    bits & (SLOWDOWN | TOO_HOT | POWER_BRAKE) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_words() {
        assert_eq!(words(0x1), [""; 0]);
        assert_eq!(words(0x48), ["slowed by hardware", "too hot"]);
        assert_eq!(words(0x24), ["at its power limit", "warm"]);
        assert!(is_by_hardware(0x40) && is_by_hardware(0x88) && !is_by_hardware(0x27));
    }

    #[test]
    fn bits_that_cannot_be_are_not_known() {
        assert_eq!(known(u64::MAX), None);
        assert_eq!(known(u64::from(u32::MAX)), None);
        assert_eq!(known(0x1000_0048), Some(0x48), "a newer driver has more of them");
        assert_eq!(known(0), Some(0));
    }
}

//! Xid errors, by which the driver says what went wrong on a card: those that speak of the card and not of a program.

/// As NVIDIA documents them. Others (13, 31, 43, 45, ...) are mostly a program's own fault.
const OF_HARDWARE: [(u64, &str); 14] = [
    (48, "an uncorrectable error of its memory"),
    (61, "its microcontroller broke down"),
    (62, "its microcontroller halted"),
    (64, "its memory could not be repaired"),
    (74, "an error of NVLink"),
    (79, "it has fallen off the bus"),
    (92, "many corrected errors of its memory"),
    (94, "an uncorrectable error of its memory, contained"),
    (95, "an uncorrectable error of its memory, not contained"),
    (119, "its system processor does not answer"),
    (120, "its system processor failed"),
    (140, "an uncorrectable error of its memory"),
    (154, "it must be reset"),
    (171, "an uncorrectable error of its memory"),
];

/// What such an error says of the card; `None` if it says nothing of it.
pub fn of_hardware(xid: u64) -> Option<&'static str> {
    OF_HARDWARE.iter().find(|(number, _)| *number == xid).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_own_fault_says_nothing_of_the_card() {
        assert_eq!([13, 31, 43, 45, 0, u64::MAX].map(of_hardware), [None; 6]);
        assert_eq!(of_hardware(79), Some("it has fallen off the bus"));
        assert!(OF_HARDWARE.is_sorted_by_key(|(number, _)| *number));
    }
}

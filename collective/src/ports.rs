//! A range of ports, as a firewall has it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The ports from a first to a last one, both of them included: `29500-29531`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    pub fn first(self) -> u16 {
        self.first
    }

    pub fn last(self) -> u16 {
        self.last
    }

    /// How many ports it has.
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Whether all ports of this range are in the other one, too.
    pub fn is_within(self, other: Self) -> bool {
        other.contains(self.first) && other.contains(self.last)
    }

    /// Whether any port is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// All ports, once around from the one that `seed` falls on.
    pub(crate) fn around(self, seed: u32) -> impl Iterator<Item = u16> {
        let start = self.first + (seed % self.count()) as u16;
        (start..=self.last).chain(self.first..start)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').ok_or_else(|| {
            format!("`{text}` is no range of ports: write the first and the last one, such as 29500-29531")
        })?;
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(format!("`{text}` runs backwards: write {last}-{first}"));
        }
        Ok(Self { first, last })
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.trim().parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is no port: ports are numbers from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl From<PortRange> for String {
    fn from(ports: PortRange) -> Self {
        ports.to_string()
    }
}

impl TryFrom<String> for PortRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> PortRange {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_is_read_as_it_is_written() {
        for (text, count) in [("29500-29531", 32), ("80-80", 1), ("1-65535", 65535)] {
            assert_eq!((ports(text).to_string().as_str(), ports(text).count()), (text, count));
        }
        assert_eq!(ports("29500 - 29531"), ports("29500-29531"));
        assert_eq!(PortRange::try_from(String::from(ports("1-2"))), Ok(ports("1-2")));
    }

    #[test]
    fn what_is_no_range_is_refused_in_words() {
        for (text, words) in [
            ("", "no range of ports"),
            ("29500", "no range of ports"),
            ("29500:29531", "no range of ports"),
            ("29531-29500", "write 29500-29531"),
            ("0-10", "`0` is no port"),
            ("1-65536", "`65536` is no port"),
            ("-5", "`` is no port"),
            ("1-2-3", "`2-3` is no port"),
            ("ssh-telnet", "`ssh` is no port"),
        ] {
            let error = text.parse::<PortRange>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn ranges_are_compared_by_the_ports_that_they_share() {
        let range = ports("10-20");
        assert!(range.contains(10) && range.contains(20) && !range.contains(9) && !range.contains(21));
        assert!(
            ports("12-20").is_within(range) && !ports("12-21").is_within(range) && !range.is_within(ports("12-20"))
        );
        assert!(range.overlaps(ports("20-30")) && range.overlaps(ports("1-65535")) && !range.overlaps(ports("21-30")));
    }

    #[test]
    fn every_port_is_tried_once_wherever_the_round_starts() {
        assert_eq!(ports("10-12").around(4).collect::<Vec<_>>(), [11, 12, 10]);
        assert_eq!(ports("65535-65535").around(u32::MAX).collect::<Vec<_>>(), [65535]);
        let mut all: Vec<_> = ports("1-65535").around(70_000).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(1..=65535));
    }
}

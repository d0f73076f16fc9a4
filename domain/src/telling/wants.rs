//! What of all that happens a person wants told.

use std::{fmt, str::FromStr, time::Duration};

/// One wait that is shorter would be told of nearly every job, ...
const SHORTEST: Duration = Duration::from_secs(60);
/// ... and one that is longer is forgotten before.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What is told, as `finished,failed,waits:1h,device-lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// An experiment has ended, and all of it has succeeded.
    pub finished: bool,
    /// An experiment has ended, and something of it has not.
    pub failed: bool,
    /// A job has failed: at once, and each.
    pub job_failed: bool,
    /// An experiment has waited for so long.
    pub waits: Option<Duration>,
    /// A worker is lost, or gets no more jobs.
    pub device_lost: bool,
}

impl Wants {
    pub const WORDS: &str = "finished, failed, job-failed, waits:TIME (as in waits:1h), device-lost";

    fn nothing() -> Self {
        Self::default()
    }
}

impl FromStr for Wants {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut wants = Self::nothing();
        for word in text.split(',').map(str::trim) {
            match word.split_once(':') {
                None if word == "finished" => wants.finished = true,
                None if word == "failed" => wants.failed = true,
                None if word == "job-failed" => wants.job_failed = true,
                None if word == "device-lost" => wants.device_lost = true,
                Some(("waits", time)) => wants.waits = Some(span(time)?),
                _ => return Err(format!("{word:?} is nothing to be told of; expected some of {}", Self::WORDS)),
            }
        }
        Ok(wants)
    }
}

impl fmt::Display for Wants {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.waits.map(|waits| format!("waits:{}", in_words(waits)));
        let words = [
            self.finished.then_some("finished"),
            self.failed.then_some("failed"),
            self.job_failed.then_some("job-failed"),
            waits.as_deref(),
            self.device_lost.then_some("device-lost"),
        ];
        to.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

const UNITS: [(&str, u64); 3] = [("d", 86_400), ("h", 3600), ("m", 60)];

fn span(text: &str) -> Result<Duration, String> {
    let expected = || format!("waits:{text}: expected a number and m, h or d, from 1m to 7d, as in waits:1h");
    let (number, seconds) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    let span = Duration::from_secs(number.checked_mul(seconds).ok_or_else(expected)?);
    if (SHORTEST..=LONGEST).contains(&span) { Ok(span) } else { Err(expected()) }
}

/// In the largest unit that it is a multiple of.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let unit = UNITS.iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{}m", seconds / 60), |(word, unit)| format!("{}{word}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for text in ["finished", "failed,job-failed", "finished,failed,waits:1h,device-lost", "waits:90m", "waits:7d"] {
            assert_eq!(text.parse::<Wants>().unwrap().to_string(), text);
        }
        assert_eq!(" failed , finished ".parse::<Wants>().unwrap().to_string(), "finished,failed");
        assert_eq!("waits:60m".parse::<Wants>().unwrap().to_string(), "waits:1h");
    }

    #[test]
    fn a_wrong_word_names_the_right_ones() {
        for wrong in ["", "finish", "finished,", "waits", "finished:1h"] {
            assert!(wrong.parse::<Wants>().unwrap_err().contains("job-failed"), "{wrong}");
        }
        for wrong in ["waits:", "waits:0m", "waits:1s", "waits:8d", "waits:-1h", "waits:99999999999999999999d"] {
            assert!(wrong.parse::<Wants>().unwrap_err().contains("waits:1h"), "{wrong}");
        }
    }
}

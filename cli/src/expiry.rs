//! How long a token is good, as people write it: `90d`.

const UNITS: [(&str, u64); 4] = [("m", 60), ("h", 3600), ("d", 86_400), ("w", 7 * 86_400)];
/// A hundred years, in seconds: beyond it, one means for good.
const LONGEST: u64 = 100 * 365 * 86_400;

/// Seconds of `30m`, `12h`, `90d` or `4w`.
///
/// # Errors
/// Says what is expected.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let expected =
        || "expected a number and m, h, d or w, as in 90d; leave it out for one that is good until revoked".to_owned();
    let (number, seconds) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).ok_or_else(expected)?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(expected)?;
    number.checked_mul(seconds).filter(|seconds| *seconds <= LONGEST).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse("90d"), Ok(90 * 86_400));
        assert_eq!((parse("30m"), parse("12h"), parse("4w")), (Ok(1800), Ok(43_200), Ok(2_419_200)));
        for wrong in ["", "d", "90", "0d", "-1d", "1.5d", "90 d", "1y", "99999999999999999999d", "5300w"] {
            assert!(parse(wrong).unwrap_err().contains("as in 90d"), "{wrong}");
        }
    }
}

//! How long a token is good, as people write it: `90d`.

use tandem_domain::policy::span;

/// Seconds of `30m`, `12h`, `90d` or `4w`.
///
/// # Errors
/// Says what is expected.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let expected = || {
        "expected a number and m, h, d or w, as in 90d, ten years at most; leave it out for one that is good until revoked"
            .to_owned()
    };
    let seconds = span::parse(text).map_err(|_| expected())?.as_secs();
    if seconds > 0 { Ok(seconds) } else { Err(expected()) }
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

//! Texts of bounded length.

/// Follows a text that was cut.
pub(crate) const CUT: &str = " [cut off]";

/// Cuts `text` to at most `bytes` bytes, the mark not counted, between two characters.
pub(crate) fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        let of = |text: &str| {
            let mut text = text.to_owned();
            cut(&mut text, 4);
            text
        };
        assert_eq!(of("four"), "four");
        assert_eq!(of("fives"), "five [cut off]");
        assert_eq!(of("\u{fffd}\u{fffd}"), "\u{fffd} [cut off]");
    }
}

//! Keys from the bytes that a terminal sends for them. The library that draws has a reader of its own, which may leave a key unread
//! when the terminal changes its size in the same moment.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

const ESCAPE: u8 = 0x1b;
/// Longer than any sequence of a key.
const LONGEST: usize = 32;

/// What has been typed, and is no whole key yet.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    rest: Vec<u8>,
}

impl Typed {
    /// The keys that are whole with these bytes. A sequence that means none here is passed over.
    pub(crate) fn keys(&mut self, bytes: &[u8]) -> Vec<KeyEvent> {
        self.rest.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while let Some((key, length)) = next(&self.rest[at..]) {
            keys.extend(key);
            at += length;
        }
        self.rest.drain(..at);
        if self.rest.len() > LONGEST {
            self.rest.clear();
        }
        keys
    }
}

/// The first key and how many bytes it takes; `None` if it is not whole.
fn next(bytes: &[u8]) -> Option<(Option<KeyEvent>, usize)> {
    let plain = |code| Some(KeyEvent::new(code, KeyModifiers::NONE));
    match *bytes {
        [] => None,
        // A terminal sends a sequence at once: an escape that stands alone is the key.
        [ESCAPE] => Some((plain(KeyCode::Esc), 1)),
        [ESCAPE, b'[', ..] => {
            let end = 2 + bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            Some((of_sequence(&bytes[2..end], bytes[end]).and_then(plain), end + 1))
        }
        [ESCAPE, b'O', byte, ..] => Some((of_sequence(&[], byte).and_then(plain), 3)),
        [ESCAPE, b'O'] => None,
        // Alt and a key, or two keys that were typed at once.
        [ESCAPE, ..] => Some((plain(KeyCode::Esc), 1)),
        [b'\r' | b'\n', ..] => Some((plain(KeyCode::Enter), 1)),
        [b'\t', ..] => Some((plain(KeyCode::Tab), 1)),
        [0x7f | 0x08, ..] => Some((plain(KeyCode::Backspace), 1)),
        [byte @ 0x01..=0x1a, ..] => {
            let letter = char::from(byte - 1 + b'a');
            Some((Some(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)), 1))
        }
        [first, ..] => {
            let length = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let text = std::str::from_utf8(bytes.get(..length)?).ok();
            let char = text.and_then(|text| text.chars().next()).filter(|char| !char.is_control());
            // What is no text counts for one byte, so that what follows is not lost.
            Some((char.map(KeyCode::Char).and_then(plain), if text.is_some() { length } else { 1 }))
        }
    }
}

/// Of `ESC [ parameters last`.
fn of_sequence(parameters: &[u8], last: u8) -> Option<KeyCode> {
    Some(match (last, parameters) {
        (b'A', _) => KeyCode::Up,
        (b'B', _) => KeyCode::Down,
        (b'C', _) => KeyCode::Right,
        (b'D', _) => KeyCode::Left,
        (b'H', _) | (b'~', b"1" | b"7") => KeyCode::Home,
        (b'F', _) | (b'~', b"4" | b"8") => KeyCode::End,
        (b'Z', _) => KeyCode::BackTab,
        (b'~', b"5") => KeyCode::PageUp,
        (b'~', b"6") => KeyCode::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(typed: &mut Typed, bytes: &[u8]) -> Vec<KeyCode> {
        typed.keys(bytes).into_iter().map(|key| key.code).collect()
    }

    #[test]
    fn keys_are_told_apart() {
        let mut typed = Typed::default();
        let expected =
            [KeyCode::Up, KeyCode::Char('j'), KeyCode::PageDown, KeyCode::BackTab, KeyCode::Home, KeyCode::Esc];
        assert_eq!(codes(&mut typed, b"\x1b[Aj\x1b[6~\x1b[Z\x1bOH\x1b"), expected);
        assert_eq!(
            codes(&mut typed, "é日\r\x7f\t".as_bytes()),
            [KeyCode::Char('é'), KeyCode::Char('日'), KeyCode::Enter, KeyCode::Backspace, KeyCode::Tab]
        );
        let interrupt = typed.keys(b"\x03");
        assert_eq!((interrupt[0].code, interrupt[0].modifiers), (KeyCode::Char('c'), KeyModifiers::CONTROL));
        // A key that means nothing here, a mouse, an answer of the terminal.
        assert_eq!(codes(&mut typed, b"\x1b[3~\x1b[<0;1;2M\x1b[12;40Rq"), [KeyCode::Char('q')]);
    }

    #[test]
    fn a_key_may_come_in_parts() {
        let mut typed = Typed::default();
        assert_eq!(codes(&mut typed, &[0xe6, 0x97]), []);
        assert_eq!(codes(&mut typed, &[0xa5]), [KeyCode::Char('日')]);
        assert_eq!((codes(&mut typed, b"\x1b[1;"), codes(&mut typed, b"5A")), (vec![], vec![KeyCode::Up]));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_next_key_is_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut typed = Typed::default();
            typed.keys(&bytes);
            // What was cut off is given up in the end.
            (0..LONGEST).for_each(|_| drop(typed.keys(b"x")));
            let last = codes(&mut typed, b"q").pop();
            prop_assert_eq!(last, Some(KeyCode::Char('q')));
            prop_assert!(typed.rest.len() <= LONGEST);
        }
    }
}

//! Reads the lines of a pipe, however long they are and whatever bytes they hold: a rank's output never stops its worker.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::text;

/// Bytes that are not UTF-8 become `U+FFFD`, which takes three; what is over the limit *then* is cut off.
pub(crate) struct LineReader<R> {
    reader: BufReader<R>,
    limit_bytes: usize,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(reader: R, limit_bytes: usize) -> Self {
        Self { reader: BufReader::new(reader), limit_bytes }
    }

    /// The next line without its newline; `None` at the end of the pipe. A last line needs no newline.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut cut = false;
        loop {
            // An error on a pipe is treated as its end.
            let chunk = self.reader.fill_buf().await.unwrap_or_default();
            if chunk.is_empty() {
                return (!line.is_empty()).then(|| decode(&line, self.limit_bytes, cut));
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = self.limit_bytes.saturating_sub(line.len()).min(part.len());
            cut |= room < part.len();
            line.extend_from_slice(&part[..room]);
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Some(decode(&line, self.limit_bytes, cut));
            }
        }
    }
}

fn decode(line: &[u8], limit_bytes: usize, cut: bool) -> String {
    let mut text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    if text.len() > limit_bytes {
        text::cut(&mut text, limit_bytes);
    } else if cut {
        text.push_str(text::CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8]) -> Vec<String> {
        let mut lines = LineReader::new(bytes, 8);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_the_next_line_is_whole() {
        assert_eq!(all(b"0123456789\nshort\r\n\nend").await, ["01234567 [cut off]", "short", "", "end"]);
    }

    #[tokio::test]
    async fn any_bytes_are_text() {
        assert_eq!(all(b"a\xffb\n").await, ["a\u{fffd}b"]);
        // Eight bytes, which would be 24 as text.
        assert_eq!(all(b"\xff\xff\xff\xff\xff\xff\xff\xff\n").await, ["\u{fffd}\u{fffd} [cut off]"]);
    }
}

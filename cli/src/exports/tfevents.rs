//! TensorBoard's event files: TFRecord around messages `Event` (tensorflow/core/util/event.proto), of which scalars need four fields.

use std::io::{self, Write};

/// What every file begins with.
const VERSION: &str = "brain.Event:2";

pub(crate) struct Events<W: Write> {
    out: W,
}

impl<W: Write> Events<W> {
    /// Begins a file; `wall` is seconds since 1970.
    pub(crate) fn begin(out: W, wall: f64) -> io::Result<Self> {
        let mut events = Self { out };
        let mut event = time(wall);
        bytes(&mut event, 3, VERSION.as_bytes());
        events.record(&event)?;
        Ok(events)
    }

    /// One point of a curve. TensorBoard keeps single precision.
    pub(crate) fn scalar(&mut self, wall: f64, step: u64, tag: &str, value: f64) -> io::Result<()> {
        let mut point = Vec::with_capacity(tag.len() + 8);
        bytes(&mut point, 1, tag.as_bytes());
        key(&mut point, 2, 5);
        point.extend((value as f32).to_le_bytes());
        let mut summary = Vec::with_capacity(point.len() + 4);
        bytes(&mut summary, 1, &point);
        let mut event = time(wall);
        key(&mut event, 2, 0);
        varint(&mut event, step);
        bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Length, its checksum, the bytes, theirs.
    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        self.out.write_all(&length)?;
        self.out.write_all(&masked(&length).to_le_bytes())?;
        self.out.write_all(data)?;
        self.out.write_all(&masked(data).to_le_bytes())
    }
}

/// A checksum of checksums would be weak: TFRecord turns and shifts it.
fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn time(wall: f64) -> Vec<u8> {
    let mut event = Vec::with_capacity(64);
    key(&mut event, 1, 1);
    event.extend(wall.to_le_bytes());
    event
}

fn key(to: &mut Vec<u8>, field: u8, kind: u8) {
    to.push(field << 3 | kind);
}

fn bytes(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    key(to, field, 2);
    varint(to, bytes.len() as u64);
    to.extend(bytes);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_length_and_checksums() {
        let mut file = Vec::new();
        let mut events = Events::begin(&mut file, 1.5).unwrap();
        events.scalar(2.0, 300, "loss", 0.25).unwrap();
        events.finish().unwrap();
        // By hand, from event.proto: file_version is field 3, summary 5.
        let first = 9 + 2 + VERSION.len();
        assert_eq!(file[..8], (first as u64).to_le_bytes());
        assert_eq!(file[12..12 + 9], [0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
        let second = &file[12 + first + 4..];
        assert_eq!(second[12..], {
            let mut event = vec![0x09, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x10, 0xac, 0x02, 0x2a, 13, 0x0a, 11, 0x0a, 4];
            event.extend(b"loss");
            event.extend([0x15, 0, 0, 0x80, 0x3e]);
            let sum = masked(&event);
            event.extend(sum.to_le_bytes());
            event
        });
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }
}

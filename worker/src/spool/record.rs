//! The bytes of a spool: a mark, then records, each preceded by its length and checksum. Pure.
//!
//! ```text
//! "tandem" 0 FORMAT   then records   length u32 le | crc32 u32 le | kind u8, body
//! ```

use tandem_proto::{
    binary,
    v1::{RankEnded, RankEvent, Report},
};

/// First bytes of every spool; the last one is the version of the format.
pub(super) const MARK: [u8; 8] = *b"tandem\0\x01";

/// Bytes in front of a record.
const FRAME: usize = 8;

/// A larger length is damage: a rank's lines are cut at a few KiB.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// One record.
#[derive(Debug, PartialEq)]
pub(super) enum Record {
    /// The first record, once: the rank that the spool belongs to.
    SpoolHeader(SpoolHeader),
    Event(RankEvent),
    /// How the rank ended; the last one counts.
    Ended(RankEnded),
    /// The coordinator has stored everything up to this number.
    Confirmed(u64),
}

/// One rank of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpoolHeader {
    pub(crate) attempt_id: String,
    pub(crate) fence: i64,
    pub(crate) rank: u32,
}

const HEADER: u8 = 0;
const EVENT: u8 = 1;
const ENDED: u8 = 2;
const CONFIRMED: u8 = 3;

/// Puts the mark and the first record.
pub(super) fn put_header(to: &mut Vec<u8>, header: &SpoolHeader) {
    to.extend_from_slice(&MARK);
    let SpoolHeader { attempt_id, fence, rank } = header.clone();
    put(to, HEADER, |body| binary::encode(&Report { attempt_id, fence, rank, events: Vec::new() }, body));
}

pub(super) fn put_event(to: &mut Vec<u8>, event: &RankEvent) {
    put(to, EVENT, |body| binary::encode(event, body));
}

pub(super) fn put_ended(to: &mut Vec<u8>, ended: &RankEnded) {
    put(to, ENDED, |body| binary::encode(ended, body));
}

pub(super) fn put_confirmed(to: &mut Vec<u8>, sequence: u64) {
    // Encoded like a message whose only field is this number.
    put(to, CONFIRMED, |body| binary::encode(&sequence, body));
}

/// Appends one framed record.
fn put(to: &mut Vec<u8>, kind: u8, encode: impl FnOnce(&mut Vec<u8>)) {
    let mut record = vec![kind];
    encode(&mut record);
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
    to.extend_from_slice(&record);
}

/// Takes the first record off `bytes`; `None` at their end, or where they are torn or damaged.
pub(super) fn take(bytes: &mut &[u8]) -> Option<Record> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= RECORD_BYTES_MAX)?;
    let record = rest.get(..length).filter(|record| crc32fast::hash(record) == u32::from_le_bytes(*checksum))?;
    let record = parse(record)?;
    *bytes = &bytes[FRAME + length..];
    Some(record)
}

fn parse(record: &[u8]) -> Option<Record> {
    let (kind, body) = record.split_first()?;
    match *kind {
        HEADER => binary::decode::<Report>(body).map(|report| {
            let Report { attempt_id, fence, rank, .. } = report;
            Record::SpoolHeader(SpoolHeader { attempt_id, fence, rank })
        }),
        EVENT => binary::decode(body).map(Record::Event),
        ENDED => binary::decode(body).map(Record::Ended),
        CONFIRMED => binary::decode(body).map(Record::Confirmed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{LogEvent, RankOutcome, rank_event::Event};

    use super::*;

    fn sample() -> (Vec<u8>, Vec<Record>) {
        let event = Event::Log(LogEvent { line: "half way".to_owned() });
        let event = RankEvent { sequence: 7, at: None, event: Some(event) };
        let ended = RankEnded { outcome: RankOutcome::Lost.into(), cause: "gone".to_owned(), ..Default::default() };
        let mut bytes = Vec::new();
        put_event(&mut bytes, &event);
        put_confirmed(&mut bytes, 7);
        put_ended(&mut bytes, &ended);
        (bytes, vec![Record::Event(event), Record::Confirmed(7), Record::Ended(ended)])
    }

    fn all(mut bytes: &[u8]) -> Vec<Record> {
        std::iter::from_fn(|| take(&mut bytes)).collect()
    }

    #[test]
    fn what_was_put_is_taken() {
        let (bytes, records) = sample();
        assert_eq!(all(&bytes), records);
    }

    #[test]
    fn a_torn_or_damaged_record_ends_the_reading_wherever_it_is() {
        let (bytes, records) = sample();
        for end in 0..bytes.len() {
            let read = all(&bytes[..end]);
            assert!(read.len() < records.len() && records.starts_with(&read), "cut at {end}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                let read = all(&damaged);
                assert!(read.len() < records.len() && records.starts_with(&read), "bit {bit} of byte {place}");
            }
        }
    }
}

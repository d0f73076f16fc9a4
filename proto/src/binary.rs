//! Messages as bytes, for those who keep them on disk: nobody else names prost.

use prost::Message;

/// Appends the encoded message to `to`.
pub fn encode(message: &impl Message, to: &mut Vec<u8>) {
    // A vector grows: this cannot fail.
    let _ = message.encode(to);
}

/// The reverse of [`encode`]; `None` if `bytes` are no such message.
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Option<M> {
    M::decode(bytes).ok()
}

/// How many bytes [`encode`] appends.
pub fn encoded_len(message: &impl Message) -> usize {
    message.encoded_len()
}

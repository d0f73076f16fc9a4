//! The form of a token. What is read is printed again as the same text, and no token is read with one character other, or
//! cut, or with something behind it: whatever the random bytes, and wherever it happens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_domain::access::{
    role::TokenRole,
    token::{LENGTH, Malformed, RANDOM_BYTES, Token, TokenId},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
    if let Some((random, [role, at, other, rest @ ..])) = bytes.split_first_chunk() {
        damaged(random, *role, *at, *other, rest);
    }
});

fn read(text: &str) {
    match Token::parse(text) {
        Ok(token) => {
            assert_eq!(token.reveal(), text);
            assert_eq!(TokenId::parse(token.id().as_str()), Ok(token.id()));
            assert!(!format!("{token:?}").contains(&text[14..57]), "it shows its secret");
        }
        Err(malformed) => drop(malformed.to_string()),
    }
    if let Ok(id) = TokenId::parse(text) {
        assert_eq!(id.as_str(), text);
    }
}

fn damaged(random: &[u8; RANDOM_BYTES], role: u8, at: u8, other: u8, rest: &[u8]) {
    let role = TokenRole::ALL[usize::from(role) % TokenRole::ALL.len()];
    let token = Token::new(role, random);
    let text = token.reveal();
    assert_eq!(Token::parse(text).as_ref(), Ok(&token));

    let at = usize::from(at) % LENGTH;
    let mut altered = text.as_bytes().to_vec();
    altered[at] = other;
    if let Ok(altered) = std::str::from_utf8(&altered)
        && altered != text
    {
        assert!(matches!(Token::parse(altered), Err(Malformed::Form | Malformed::Checksum)), "{at}: {altered}");
    }
    assert!(Token::parse(&text[..at]).is_err(), "cut to {at} characters it is read");
    if let Ok(rest) = std::str::from_utf8(rest)
        && !rest.is_empty()
    {
        assert!(Token::parse(&format!("{text}{rest}")).is_err(), "read with {rest:?} behind it");
        assert!(Token::parse(&format!("{rest}{text}")).is_err(), "read with {rest:?} before it");
    }
}

//! The join file. In the input `@` stands for a token.
//!
//! What is read is written as a text that is read as the same. What is refused is refused without the token, or any part of
//! it, wherever it stood.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_connect::JoinFile;
use tandem_domain::access::{
    role::TokenRole,
    token::{RANDOM_BYTES, Token},
};

/// Of the secret's characters: fewer may stand in any message by chance. What the input itself holds is no part of a token
/// that somebody put there: libFuzzer learns such words.
const PART: usize = 8;

fuzz_target!(|text: &str| {
    let random: [u8; RANDOM_BYTES] = std::array::from_fn(|at| (at * 41 + 7) as u8);
    let token = Token::new(TokenRole::Worker, &random);
    match JoinFile::parse(&text.replace('@', token.reveal())) {
        Ok(file) => {
            let written = file.to_toml().expect("what was read can be written");
            assert_eq!(JoinFile::parse(&written).as_ref(), Ok(&file), "{written}");
            assert!(!format!("{file:?}").contains(&token.reveal()[14..57]));
        }
        Err(why) => {
            for part in token.reveal().as_bytes()[14..57].windows(PART) {
                let part = std::str::from_utf8(part).expect("a token is ASCII");
                assert!(text.contains(part) || !why.contains(part), "the token is shown: {why}");
            }
        }
    }
});

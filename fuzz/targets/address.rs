//! Where a coordinator listens, and the fingerprint of its root, as people type them and files hold them.
//!
//! What is read is printed as a text that is read as the same, and that the HTTP client takes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_connect::{Address, Fingerprint};
use tonic::codegen::http::Uri;

fuzz_target!(|text: &str| {
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    let Ok(address) = text.parse::<Address>() else { return };
    let printed = address.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&address), "{printed:?}");
    assert!(!printed.chars().any(char::is_control), "{printed:?} holds a character that steers a terminal");
    if let Some(at) = address.host_port() {
        let uri: Uri = printed.parse().expect("the HTTP client takes it");
        assert_eq!(uri.port_u16(), Some(at.port));
        // The host that is asked is the one that was judged to be this machine, or not.
        assert_eq!(uri.host().map(|host| host.trim_matches(['[', ']'])), Some(at.host.as_str()));
    }
    if let Err(why) = address.check_may_carry_token() {
        assert!(matches!(address, Address::Http(_)) && !why.is_empty());
    }
});

//! What a person may be called, and how somebody is called who came by an account of the box.

const LONGEST: usize = 32;
/// Before the name of an account of the box that is linked to no person. No person's name holds a colon.
const LOGIN: &str = "login:";

/// Checks the name of a person or a token: it stands in `user/experiment`, in tables and in messages.
///
/// # Errors
/// Says what is expected.
pub fn check(what: &str, name: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // The audit says so of whoever is not known.
    if name == "nobody" {
        return Err("`nobody` is what the audit calls whoever is not known; choose another name".to_owned());
    }
    let is_right = name.len() <= LONGEST && name.bytes().all(inside) && name.bytes().next().is_some_and(first);
    if is_right {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name for {what}; expected up to {LONGEST} of a to z, 0 to 9, `.`, `_` and `-`, the first a letter \
         or digit"
    ))
}

/// Checks the name of an account of the box, which need not be there yet.
///
/// # Errors
/// Says what is expected.
pub fn check_login(login: &str) -> Result<(), String> {
    let is_right =
        login.len() <= 64 && login.bytes().all(|byte| byte.is_ascii_graphic() && !b":/\"\\'".contains(&byte));
    if is_right {
        Ok(())
    } else {
        Err(format!("{login:?} is no name of an account; expected up to 64 letters and digits"))
    }
}

/// The longest name of a worker: beside it stand other columns.
const WORKER_LONGEST: usize = 64;

/// Checks the name of a worker: people type it, and it stands in tables, paths and messages.
///
/// # Errors
/// Says what is expected.
pub fn check_worker(name: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_right = name.len() <= WORKER_LONGEST
        && name.bytes().all(inside)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if is_right {
        return Ok(());
    }
    // What cannot be shown is escaped, and what is endless cut.
    let shown: String = name.chars().take(WORKER_LONGEST).flat_map(char::escape_default).collect();
    Err(format!(
        "\"{shown}\" is no name for a worker, as it must be typed and shown; expected up to {WORKER_LONGEST} letters, digits, `.`, \
         `_` and `-` of ASCII, the first a letter or digit"
    ))
}

/// A worker's name made of a host's, which may be anything.
pub fn for_worker(wanted: &str) -> String {
    let mut name: String = wanted
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-') { char } else { '-' })
        .skip_while(|char| !char.is_ascii_alphanumeric())
        .collect();
    // The end tells one device of a host from another.
    let excess = name.len().saturating_sub(WORKER_LONGEST);
    name.drain(..excess);
    let first = name.find(|char: char| char.is_ascii_alphanumeric()).unwrap_or(name.len());
    name.drain(..first);
    if name.is_empty() { "worker".to_owned() } else { name }
}

/// How an account of the box is called where no person is linked to it.
pub fn of_login(account: &str) -> String {
    format!("{LOGIN}{account}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_called_what_can_be_typed() {
        for right in ["gpu-0", "Box.lan-cuda-0", "0", "a_b", &"a".repeat(64)] {
            assert_eq!(check_worker(right), Ok(()), "{right}");
            assert_eq!(for_worker(right), *right);
        }
        for wrong in
            ["", " ", "a b", "-a", "gpu\u{202e}0", "\u{1b}[2J", "a\n", "ä", "a/b", &"a".repeat(65), "gpu\u{200b}0"]
        {
            let error = check_worker(wrong).unwrap_err();
            assert!(error.contains("no name for a worker") && error.is_ascii(), "{error}");
            assert!(!error.contains(['\u{1b}', '\n']), "{error:?}");
            assert_eq!(check_worker(&for_worker(wrong)), Ok(()), "{wrong:?} becomes {:?}", for_worker(wrong));
        }
        assert_eq!(for_worker("my box-cuda-1"), "my-box-cuda-1");
    }

    #[test]
    fn a_name_stands_in_a_path_and_in_a_table() {
        for right in ["ann", "ci-1", "a.b_c", "0x"] {
            assert_eq!(check("a person", right), Ok(()), "{right}");
        }
        for wrong in ["", "Ann", "-a", "a/b", "a b", "login:ann", "ä", "a\n", &"a".repeat(33)] {
            let error = check("a person", wrong).unwrap_err();
            assert!(error.contains("no name for a person") && !error.contains('\n'), "{error}");
        }
        assert!(check("a person", &of_login("ann")).is_err(), "nobody can take an account's place");
        assert!(check("a person", "nobody").unwrap_err().contains("audit"));
        assert!(check_login("ann").is_ok() && check_login("").is_ok() && check_login("DOM-ann.b$").is_ok());
        for wrong in ["a b", "a\u{1b}[1m", "a:b", "a/b", "ä", &"a".repeat(65)] {
            assert!(check_login(wrong).is_err(), "{wrong}");
        }
    }
}

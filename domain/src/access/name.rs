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

/// How an account of the box is called where no person is linked to it.
pub fn of_login(account: &str) -> String {
    format!("{LOGIN}{account}")
}

#[cfg(test)]
mod tests {
    use super::*;

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

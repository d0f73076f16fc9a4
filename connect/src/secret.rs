//! Files that hold a secret: for their owner alone, and never repeated in a message.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tandem_domain::access::token::Token;

/// More than any such file has.
const LONGEST: u64 = 64 << 10;
/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// The text of a file that nobody else may read.
///
/// # Errors
/// Says why not, and what to do.
pub fn read(path: &Path) -> Result<String, String> {
    let unread = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(unread)?;
    // Of the file that is open: the path may be another's a moment later.
    let mode = file.metadata().map_err(unread)?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(format!(
            "other accounts of this machine have access to {0}, which is to hold a secret: chmod 600 {0}",
            path.display()
        ));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

/// The token that is all of a file.
///
/// # Errors
/// As [`read`], and where it is none.
pub fn read_token(path: &Path) -> Result<Token, String> {
    parse_token(&read(path)?).map_err(|why| format!("{} holds no token: {why}", path.display()))
}

/// A token, and blanks around it.
///
/// # Errors
/// What is wrong with its form, without repeating it.
pub fn parse_token(text: &str) -> Result<Token, String> {
    match text.trim() {
        "" => Err("there is nothing".to_owned()),
        text => Token::parse(text).map_err(|malformed| malformed.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::test_house::token;

    #[test]
    fn what_others_may_read_is_refused_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, format!("{}\n", token().reveal())).unwrap();
        for (mode, is_private) in [(0o600, true), (0o400, true), (0o644, false), (0o640, false), (0o602, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match read_token(&path) {
                Ok(read) => assert!(is_private && read == token(), "{mode:o}"),
                Err(error) => {
                    assert!(!is_private && error.contains(&format!("chmod 600 {}", path.display())), "{error}")
                }
            }
        }
        assert!(read(&dir.path().join("none")).unwrap_err().contains("cannot read"));
    }

    #[test]
    fn a_token_that_is_none_is_not_repeated() {
        let whole = token();
        let cut = &whole.reveal()[..40];
        let error = parse_token(cut).unwrap_err();
        assert!(error.contains("it was cut") && !error.contains(cut), "{error}");
        assert!(parse_token(" \n").unwrap_err().contains("nothing"));
    }
}

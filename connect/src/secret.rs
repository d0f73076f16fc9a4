//! Files that hold a secret: for their owner alone, and never repeated in a message.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use nix::{fcntl::OFlag, unistd::geteuid};
use tandem_domain::access::token::Token;

/// More than any such file has.
const LONGEST: u64 = 64 << 10;
/// Longer than any word of a message, and than most names of hosts between their points.
const PART_MAX: usize = 20;
/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;

/// The text of a file that nobody else may read.
///
/// # Errors
/// Says why not, and what to do.
pub fn read(path: &Path) -> Result<String, String> {
    let (text, opened) = open(path)?;
    check_private(path, &opened)?;
    Ok(text)
}

/// What a regular file holds, and what the file was that it was read from: the path may be another's a moment later.
fn open(path: &Path) -> Result<(String, Metadata), String> {
    let unread = |error: io::Error| format!("cannot read {}: {error}", path.display());
    // Not to wait for who writes into a pipe of that name.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(unread)?;
    let opened = file.metadata().map_err(unread)?;
    if !opened.is_file() {
        return Err(format!("{} is no regular file: a secret is read from nothing else", path.display()));
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).map_err(unread)?;
    let text = String::from_utf8(text).map_err(|_| format!("{} is no text file", path.display()))?;
    Ok((text, opened))
}

fn check_private(path: &Path, opened: &Metadata) -> Result<(), String> {
    if opened.permissions().mode() & OTHERS == 0 {
        return Ok(());
    }
    let path = path.display();
    let others = format!("other accounts of this machine have access to {path}, which is to hold a secret");
    // Nobody but its owner can change that.
    if opened.uid() == geteuid().as_raw() {
        return Err(format!("{others}: chmod 600 {path}"));
    }
    Err(format!("{others}, and it is another's: keep a copy of your own, of mode 600"))
}

/// The token that is all of a file.
///
/// # Errors
/// As [`read`], and where it is none.
pub fn read_token(path: &Path) -> Result<Token, String> {
    let (text, opened) = open(path)?;
    // First: the mode of a file that is meant for something else is not to be changed.
    let token = parse_token(&text).map_err(|why| format!("{} holds no token: {why}", path.display()))?;
    check_private(path, &opened)?;
    Ok(token)
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

/// A message about a text that holds a secret, less every part of it that is as long as one: what reads such a text quotes it,
/// and the secret may stand anywhere in it. A fingerprint is none.
pub fn masked(message: &str) -> String {
    let is_of_secrets = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    let is_secret = |part: &str| part.len() >= PART_MAX && !part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (mut masked, mut rest) = (String::with_capacity(message.len()), message);
    while let Some(start) = rest.find(is_of_secrets) {
        let (before, from) = rest.split_at(start);
        let (part, after) = from.split_at(from.find(|char| !is_of_secrets(char)).unwrap_or(from.len()));
        masked.push_str(before);
        masked.push_str(if is_secret(part) { ".." } else { part });
        rest = after;
    }
    masked + rest
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
    fn a_file_of_another_kind_is_not_to_be_changed_for_it() {
        for (other, expected) in
            [("/etc/passwd", "holds no token"), ("/dev/null", "no regular file"), ("/", "no regular")]
        {
            let error = read_token(Path::new(other)).unwrap_err();
            assert!(error.contains(expected) && !error.contains("chmod"), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        // It has no writer, and would be waited for.
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(read_token(&pipe).unwrap_err().contains("no regular file"));
    }

    #[test]
    fn what_is_as_long_as_a_secret_is_left_out_of_a_message() {
        let text = token().reveal().to_owned();
        for (said, told) in [
            (format!("unknown field `{text}`, expected `token`"), "unknown field `..`, expected `token`"),
            (format!("{}: {}", &text[..30], &text[20..]), "..: .."),
            ("`ftp://box.example:1` is no address".to_owned(), "`ftp://box.example:1` is no address"),
            ("größe".to_owned(), "größe"),
        ] {
            assert_eq!(masked(&said), told);
        }
        let fingerprint = "0123456789abcdef".repeat(4);
        assert_eq!(masked(&fingerprint), fingerprint);
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

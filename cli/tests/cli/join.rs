//! `join` against a real TLS port: who is trusted there, when the token is sent, and what is kept.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::AsFd,
    process::Stdio,
    time::Duration,
};

use nix::{
    pty::openpty,
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use tandem_domain::access::{
    TokenRole,
    token::{RANDOM_BYTES, Token},
};
use tandem_proto::v1::JobState;

use crate::{
    coordinator::{Coordinator, Script, job},
    house::{Home, House, ended, mode_of},
    people::secret,
};

fn coordinator() -> Coordinator {
    Coordinator::with(Script { jobs: vec![job("a", JobState::Queued)], ..Script::default() })
}

#[tokio::test]
async fn a_token_that_is_good_once_is_exchanged_and_another_one_kept() {
    let (coordinator, home) = (Coordinator::with(Script { once_token: true, ..Script::default() }), Home::new());
    let house = House::serve(&coordinator).await;
    let joined = home.told(&["join", &house.address, &house.fingerprint], &format!("{}\n", secret(9))).await;
    assert_eq!(joined.code(), Some(0), "{}", joined.stderr());
    let kept = fs::read_to_string(home.context("127.0.0.1")).unwrap();
    assert!(kept.contains(&secret(0)) && !kept.contains(&secret(9)), "the first that the coordinator makes");
    assert!(!joined.stderr().contains("tdm_"), "{}", joined.stderr());
}

#[tokio::test]
async fn what_was_joined_is_kept_and_asked_by_the_next_command() {
    let (coordinator, home) = (coordinator(), Home::new());
    let house = House::serve(&coordinator).await;
    let colons = house
        .fingerprint
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join(":");
    let joined = home.told(&["join", &house.address, &colons], &format!("{}\n", secret(1))).await;
    assert_eq!(joined.code(), Some(0), "{}", joined.stderr());
    assert!(joined.stderr().contains("joined as ann (submitter); the context 127.0.0.1"), "{}", joined.stderr());
    assert_eq!(mode_of(&home.context("127.0.0.1")), 0o600);

    let list = home.run(&["list"]).await;
    assert_eq!(list.code(), Some(0), "{}", list.stderr());
    let bearer = Some(format!("Bearer {}", secret(1)));
    assert_eq!(coordinator.script().authorizations, [bearer.clone(), bearer.clone()]);

    // By the address alone, its context is found; by the environment, another token.
    let mut list = home.command(&["--server", &house.address, "list"]);
    let list = list.env("TANDEM_TOKEN", secret(2)).output().await.unwrap();
    assert!(list.status.success());
    assert_eq!(coordinator.script().authorizations[2], Some(format!("Bearer {}", secret(2))));

    let contexts = home.run(&["context", "list"]).await;
    assert!(contexts.stdout().contains("*  127.0.0.1") && !contexts.stdout().contains("tdm_"), "{}", contexts.stdout());
    assert_eq!(home.run(&["context", "use", "other"]).await.code(), Some(78));
    let other = home.run(&["--context", "other", "list"]).await;
    assert!(other.stderr().contains("there are: 127.0.0.1"), "{}", other.stderr());
    assert_eq!(home.run(&["context", "remove", "127.0.0.1"]).await.code(), Some(0));
    assert!(!home.context("127.0.0.1").exists());
    let gone = home.run(&["--server", &house.address, "list"]).await;
    assert_eq!(gone.code(), Some(78));
    assert!(gone.stderr().contains(&format!("tandem join {} FINGERPRINT", house.address)), "{}", gone.stderr());
}

#[tokio::test]
async fn a_token_goes_to_nobody_with_another_certificate() {
    let (coordinator, home) = (coordinator(), Home::new());
    let (house, other) = (House::serve(&coordinator).await, House::serve(&coordinator).await);
    let refused = home.told(&["join", &house.address, &other.fingerprint], &secret(1)).await;
    assert_eq!(refused.code(), Some(77));
    for part in [&house.fingerprint, &other.fingerprint] {
        assert!(refused.stderr().contains(part.as_str()), "{}", refused.stderr());
    }
    let both = format!("{},{}", house.address, other.address);
    let mixed = home.told(&["join", &both, &house.fingerprint], &secret(1)).await;
    assert_eq!(mixed.code(), Some(77), "{}", mixed.stderr());
    let blind = home.told(&["join", &house.address], &secret(1)).await;
    assert_eq!(blind.code(), Some(2));
    assert!(blind.stderr().contains("no terminal to ask at"), "{}", blind.stderr());
    assert!(coordinator.script().authorizations.is_empty() && !home.dir.path().join("tandem").exists());
}

#[tokio::test]
async fn what_cannot_be_a_token_or_is_not_known_is_not_kept() {
    let home = Home::new();
    let coordinator = Coordinator::with(Script { unknown_token: true, ..Script::default() });
    let house = House::serve(&coordinator).await;
    let args = ["join", &house.address, &house.fingerprint];
    let cut = &secret(1)[..60];
    let malformed = home.told(&args, cut).await;
    assert_eq!(malformed.code(), Some(2));
    assert!(malformed.stderr().contains("it was cut") && !malformed.stderr().contains(cut), "{}", malformed.stderr());
    assert!(coordinator.script().authorizations.is_empty());
    let unknown = home.told(&args, &secret(1)).await;
    assert_eq!(unknown.code(), Some(77), "{}", unknown.stderr());
    assert!(!home.context("127.0.0.1").exists());
    let open = home.file("open", &secret(1), 0o644);
    let open = home.run(&[&args[..], &["--token-file", &open]].concat()).await;
    assert_eq!(open.code(), Some(78));
    assert!(open.stderr().contains("chmod 600"), "{}", open.stderr());
}

#[tokio::test]
async fn a_worker_is_given_a_file_and_nobody_is_asked() {
    let (coordinator, home) = (coordinator(), Home::new());
    let house = House::serve(&coordinator).await;
    let (token, out) = (home.file("token", &secret(1), 0o600), home.dir.path().join("gpu-0.join"));
    let args = ["join", &house.address, &house.fingerprint, "--token-file", &token, "--out", out.to_str().unwrap()];
    let written = home.run(&args).await;
    assert_eq!(written.code(), Some(0), "{}", written.stderr());
    assert_eq!(mode_of(&out), 0o600);
    let text = fs::read_to_string(&out).unwrap();
    assert!(
        text.contains(&house.fingerprint) && text.contains(&secret(1)) && text.contains("BEGIN CERTIFICATE"),
        "{text}"
    );
    let again = home.run(&args).await;
    assert!(again.code() == Some(73) && again.stderr().contains("--force"), "{}", again.stderr());
    assert_eq!(home.run(&[&args[..], &["--force"]].concat()).await.code(), Some(0));
    assert!(coordinator.script().authorizations.is_empty() && home.run(&["context", "list"]).await.stdout().is_empty());
}

#[tokio::test]
async fn this_machine_needs_no_certificate() {
    let home = Home::new();
    let (address, script) = Coordinator::start(Script::default()).await;
    let joined = home.told(&["join", &address, "--name", "here"], &secret(1)).await;
    assert_eq!(joined.code(), Some(0), "{}", joined.stderr());
    assert_eq!(script.lock().unwrap().authorizations, [Some(format!("Bearer {}", secret(1)))]);
    // Another house does not take its place.
    let other = home.told(&["join", "127.0.0.1:9", "--name", "here"], &secret(1)).await;
    assert_eq!(other.code(), Some(73), "{}", other.stderr());
    let afar = home.told(&["join", "http://192.0.2.1:7077"], &secret(1)).await;
    assert!(afar.code() == Some(2) && afar.stderr().contains("plain http"), "{}", afar.stderr());
    let tls = home.told(&["join", &address.replace("http", "https"), &"ab".repeat(32)], &secret(1)).await;
    assert_eq!(tls.code(), Some(69));
}

#[tokio::test]
async fn what_cannot_be_joined_is_told_what_to_do_before_anything_is_sent() {
    let (coordinator, home) = (coordinator(), Home::new());
    let house = House::serve(&coordinator).await;
    let bare = house.address.trim_start_matches("https://");
    let mixed = format!("{},127.0.0.1:9", house.address);
    let named = ["--name", "lab"];
    for (address, expected) in [
        (format!("http://{bare}"), format!("name it as {}", house.address)),
        (bare.to_owned(), format!("name it as {}", house.address)),
        (mixed, "join them apart".to_owned()),
        ("unix:/run/tandem/tandem.sock".to_owned(), "a socket needs no join".to_owned()),
    ] {
        let args = [&["join", &address, &house.fingerprint][..], &named].concat();
        let refused = home.told(&args, &secret(1)).await;
        assert!(refused.code() == Some(2) && refused.stderr().contains(&expected), "{address}: {}", refused.stderr());
    }
    for (role, expected) in [(TokenRole::Worker, "--out FILE makes a join file of it"), (TokenRole::Scrape, "metrics")]
    {
        let token = Token::new(role, &[1; RANDOM_BYTES]);
        let refused = home.told(&["join", &house.address, &house.fingerprint], token.reveal()).await;
        assert!(refused.code() == Some(2) && refused.stderr().contains(expected), "{}", refused.stderr());
        assert!(!refused.stderr().contains(&token.reveal()[20..40]), "{}", refused.stderr());
    }
    assert!(coordinator.script().authorizations.is_empty());
}

#[tokio::test]
async fn who_takes_anothers_place_in_a_context_is_told_so() {
    let (coordinator, home) = (coordinator(), Home::new());
    let house = House::serve(&coordinator).await;
    let twice = format!("{0},{0}", house.address);
    let args = ["join", &twice, &house.fingerprint];
    let first = home.told(&args, &secret(1)).await;
    assert!(first.code() == Some(0) && !first.stderr().contains("replaces"), "{}", first.stderr());
    let kept = fs::read_to_string(home.context("127.0.0.1")).unwrap();
    assert_eq!(kept.matches(&house.address).count(), 1, "the same server twice is one");
    coordinator.script().names.insert(format!("Bearer {}", secret(2)), "bob".to_owned());
    let second = home.told(&args, &secret(2)).await;
    assert!(second.stderr().contains("replaces ann's token by bob's"), "{}", second.stderr());
    let same = home.told(&args, &secret(2)).await;
    assert!(same.code() == Some(0) && !same.stderr().contains("replaces"), "{}", same.stderr());
}

/// All that a terminal shows up to `words`.
fn shown(terminal: &mut File, words: &str) -> String {
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains(words) {
        let mut some = [0; 1024];
        let read = terminal.read(&mut some).unwrap();
        shown.extend_from_slice(&some[..read]);
    }
    String::from_utf8(shown).unwrap()
}

#[tokio::test]
async fn a_terminal_is_asked_does_not_show_the_token_and_is_given_back() {
    let (coordinator, home) = (coordinator(), Home::new());
    let house = House::serve(&coordinator).await;
    for interrupted in [false, true] {
        let pty = openpty(None, None).unwrap();
        let mut terminal = File::from(pty.master);
        let mut command = home.command(&["join", &house.address]);
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut join = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let question = shown(&mut terminal, "[y/N] ");
            terminal.write_all(b"y\n").unwrap();
            let prompt = shown(&mut terminal, "(it is not shown): ");
            (question, prompt, terminal)
        });
        let read = tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap().unwrap();
        let (question, prompt, mut terminal) = read;
        assert!(question.contains(&house.fingerprint) && prompt.contains("Token"), "{question}{prompt}");
        let echoes = || tcgetattr(pty.slave.as_fd()).unwrap().local_flags.contains(LocalFlags::ECHO);
        assert!(!echoes());
        if interrupted {
            kill(Pid::from_raw(join.id().unwrap().cast_signed()), Signal::SIGINT).unwrap();
        } else {
            terminal.write_all(format!("{}\n", secret(1)).as_bytes()).unwrap();
        }
        let code = tokio::time::timeout(Duration::from_secs(30), join.wait()).await.unwrap().unwrap();
        let rest = tokio::task::spawn_blocking(move || {
            let rest = shown(&mut terminal, if interrupted { "interrupted" } else { "joined as ann" });
            // Open until it was looked at: nobody can ask a terminal that has gone.
            (rest, terminal)
        });
        let (rest, _terminal) = tokio::time::timeout(Duration::from_secs(30), rest).await.unwrap().unwrap();
        assert!(!rest.contains("tdm_"), "{rest}");
        assert!(echoes(), "it is given back");
        assert_eq!(ended(code).code(), Some(if interrupted { 130 } else { 0 }));
    }
    assert_eq!(coordinator.script().authorizations.len(), 1);
}

//! Sockets, tokens and the commands of admins, against a scripted coordinator.

use std::{fs, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tandem_proto::v1::{JobState, Person, Token};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    coordinator::{Coordinator, Script, job},
    house::{Home, House, mode_of},
    people::secret,
    run,
};

#[tokio::test]
async fn a_socket_of_this_machine_is_found_and_the_kernel_says_who_calls() {
    let home = Home::new();
    let coordinator = Coordinator::with(Script { jobs: vec![job("a", JobState::Queued)], ..Script::default() });
    let socket = home.dir.path().join("t.sock");
    coordinator.serve_socket(&socket);
    let named = home.run(&["--server", &format!("unix:{}", socket.display()), "list"]).await;
    assert_eq!(named.code(), Some(0), "{}", named.stderr());
    let who = home.command(&["whoami", "--json"]).env("TANDEM_SOCKET", &socket).output().await.unwrap();
    let who: serde_json::Value = serde_json::from_slice(&who.stdout).unwrap();
    let server = format!("unix:{}", socket.display());
    assert_eq!(who, serde_json::json!({ "server": server, "name": "login:ann", "role": "submitter" }));
    assert_eq!(coordinator.script().authorizations, [None, None]);
}

#[tokio::test]
async fn who_served_a_socket_is_remembered_once_a_coordinator_has_answered() {
    let (home, coordinator) = (Home::new(), Coordinator::default());
    let known = || fs::read_to_string(home.dir.path().join("tandem/known-houses.toml")).unwrap_or_default();
    let path = home.dir.path().canonicalize().unwrap();
    let (other, socket) = (path.join("other.sock"), path.join("t.sock"));
    let listener = tokio::net::UnixListener::bind(&other).unwrap();
    // Another program: it hangs up.
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let failed = home.run(&["--server", &format!("unix:{}", other.display()), "list"]).await;
    assert_eq!((failed.code(), known()), (Some(69), String::new()), "{}", failed.stderr());
    coordinator.serve_socket(&socket);
    let list = ["--server", &format!("unix:{}", socket.display()), "list"];
    let own = nix::unistd::geteuid();
    for _ in 0..2 {
        assert_eq!(home.run(&list).await.code(), Some(0));
        assert_eq!(known(), format!("\"{}\" = {own}\n", socket.display()));
        // Who was there before, and now it is oneself.
        home.file("tandem/known-houses.toml", &format!("\"{}\" = 4000001\n", socket.display()), 0o600);
    }
}

#[tokio::test]
async fn a_token_of_a_file_or_a_variable_is_sent_and_stands_in_no_argument() {
    let (home, (server, script)) = (Home::new(), Coordinator::start(Script::default()).await);
    let (good, open) = (home.file("good", &secret(1), 0o600), home.file("open", &secret(1), 0o644));
    assert_eq!(run(&server, &["list", "--token-file", &good]).await.code(), Some(0));
    let refused = run(&server, &["list", "--token-file", &open]).await;
    assert_eq!(refused.code(), Some(78));
    assert!(refused.stderr().contains(&format!("chmod 600 {open}")), "{}", refused.stderr());
    let argument = run(&server, &["list", "--token", &secret(1)]).await;
    assert_eq!(argument.code(), Some(2));
    assert_eq!(script.lock().unwrap().authorizations, [Some(format!("Bearer {}", secret(1)))]);
    let afar = run("http://192.0.2.1:7077", &["list", "--token-file", &good]).await;
    assert!(afar.code() == Some(78) && afar.stderr().contains("ssh -L"), "{}", afar.stderr());
}

#[tokio::test]
async fn a_config_file_with_a_token_is_for_its_owner_alone() {
    let (home, (server, script)) = (Home::new(), Coordinator::start(Script::default()).await);
    fs::create_dir(home.dir.path().join("tandem")).unwrap();
    let text = format!("server = \"{server}\"\ntoken = \"{}\"\n", secret(3));
    home.file("tandem/config.toml", &text, 0o644);
    assert_eq!(home.run(&["list"]).await.code(), Some(78));
    home.file("tandem/config.toml", &text, 0o600);
    assert_eq!(home.run(&["list"]).await.code(), Some(0));
    assert_eq!(script.lock().unwrap().authorizations, [Some(format!("Bearer {}", secret(3)))]);
}

#[tokio::test]
async fn a_port_that_speaks_otherwise_is_told_so() {
    let (coordinator, home) = (Coordinator::default(), Home::new());
    let house = House::serve(&coordinator).await;
    let plain = run(&house.address.replace("https", "http"), &["status"]).await;
    assert_eq!(plain.code(), Some(69));
    assert!(plain.stderr().contains("speaks TLS (then use https://127.0.0.1"), "{}", plain.stderr());
    let joined = home.told(&["join", &house.address, &house.fingerprint, "--name", "lab"], &secret(1)).await;
    assert_eq!(joined.code(), Some(0), "{}", joined.stderr());
    let (address, _) = Coordinator::start(Script::default()).await;
    let tls = address.replace("http", "https");
    let wrong = home.run(&["--context", "lab", "--server", &tls, "status"]).await;
    assert_eq!(wrong.code(), Some(69));
    assert!(wrong.stderr().contains(&format!("use {address} on the box itself")), "{}", wrong.stderr());
    let other = House::serve(&coordinator).await;
    let images = tempfile::tempdir().unwrap();
    crate::data::image_folder(images.path());
    let file = images.path().join("x.toml");
    std::fs::write(&file, "name = \"x\"").unwrap();
    for command in [
        &["status"][..],
        &["watch", "x"],
        &["logs", "x", "--follow"],
        &["submit", file.to_str().unwrap()],
        &["data", "put", "cats", images.path().to_str().unwrap()],
        &["cancel", "x"],
    ] {
        let stranger = home.run(&[&["--context", "lab", "--server", &other.address], command].concat()).await;
        assert_eq!(stranger.code(), Some(77), "{command:?}: {}", stranger.stderr());
        for part in ["not of the house that you joined", &house.fingerprint, &other.fingerprint, "tandem join"] {
            assert!(stranger.stderr().contains(part), "{command:?}: {}", stranger.stderr());
        }
    }
}

#[tokio::test]
async fn people_are_added_changed_and_listed() {
    let (server, script) = Coordinator::start(Script::default()).await;
    let add = run(&server, &["user", "add", "ann", "--role", "submitter", "--login", "ann"]).await;
    assert_eq!(add.code(), Some(0), "{}", add.stderr());
    assert!(add.stdout().contains("submitter") && add.stderr().contains("token new laptop --user ann"));
    for args in [&["role", "ann", "admin"][..], &["link", "ann", "smith"], &["unlink", "ann"], &["enable", "ann"]] {
        assert_eq!(run(&server, &[&["user"], args].concat()).await.code(), Some(0), "{args:?}");
    }
    let disable = run(&server, &["user", "disable", "ann"]).await;
    assert!(disable.stderr().contains("cancelled 2 of its jobs"), "{}", disable.stderr());
    let asked: Vec<_> = script.lock().unwrap().set_people.drain(..).collect();
    assert!(asked[0].create && asked[1..].iter().all(|asked| !asked.create && asked.name == "ann"));
    assert_eq!((asked[1].role.as_deref(), asked[2].login.as_deref()), (Some("admin"), Some("smith")));
    assert_eq!((asked[3].login.as_deref(), asked[4].disabled, asked[5].disabled), (Some(""), Some(false), Some(true)));
    let wrong = run(&server, &["user", "add", "Ann", "--role", "reader"]).await;
    assert!(wrong.code() == Some(2) && wrong.stderr().contains("no name for a person"), "{}", wrong.stderr());

    assert!(run(&server, &["user", "list"]).await.stderr().contains("nobody yet"));
    script.lock().unwrap().people =
        vec![Person { name: "ann".to_owned(), role: "admin".to_owned(), ..Person::default() }];
    assert!(run(&server, &["user", "list"]).await.stdout().contains("ann     admin"));
}

#[tokio::test]
async fn a_token_is_shown_once_or_written_for_its_owner_alone() {
    let (home, (server, script)) = (Home::new(), Coordinator::start(Script::default()).await);
    let new = run(&server, &["token", "new", "ci", "--role", "submitter", "--expires", "90d"]).await;
    assert_eq!((new.code(), new.stdout()), (Some(0), format!("{}\n", secret(0)).as_str()), "{}", new.stderr());
    script.lock().unwrap().tokens.clear();
    let none = run(&server, &["token", "list"]).await;
    assert!(none.stderr().contains("user add NAME --role ROLE --login"), "an account's: {}", none.stderr());
    let good = home.file("good", &secret(1), 0o600);
    let none = run(&server, &["token", "list", "--token-file", &good]).await;
    assert!(none.stderr().contains("tandem token new NAME"), "{}", none.stderr());
    let out = home.dir.path().join("t");
    let out = out.to_str().unwrap();
    let written = run(&server, &["token", "new", "laptop", "--user", "ann", "--out", out, "--json"]).await;
    assert_eq!((&written.json()["file"], written.json().get("secret")), (&out.into(), None));
    assert_eq!((fs::read_to_string(out).unwrap(), mode_of(out.as_ref())), (format!("{}\n", secret(1)), 0o600));
    let join = ["token", "new", "gpu-0", "--role", "worker", "--join", "--out", out];
    let refused = run(&server, &join).await;
    assert!(refused.code() == Some(73) && refused.stderr().contains("--force replaces it"), "{}", refused.stderr());
    assert_eq!(fs::read_to_string(out).unwrap(), format!("{}\n", secret(1)), "nor was a token made");
    let join = run(&server, &[&join[..], &["--force"]].concat()).await;
    assert_eq!(join.code(), Some(0), "{}", join.stderr());
    let text = fs::read_to_string(out).unwrap();
    assert!(text.contains(&server) && text.contains(&secret(2)) && !join.stdout().contains("tdm_"), "{text}");
    let asked: Vec<_> = script.lock().unwrap().new_tokens.drain(..).collect();
    assert_eq!((asked[0].expires_in_seconds, asked[1].person.as_str()), (Some(90 * 86_400), "ann"));
    assert_eq!((asked[2].role.as_str(), asked[2].expires_in_seconds), ("worker", None));

    let id = script.lock().unwrap().tokens[0].id.clone();
    let all = script.lock().unwrap().tokens.clone();
    script.lock().unwrap().tokens.clear();
    let none = run(&server, &["token", "list", "--all"]).await;
    assert!(none.stderr().contains("nobody here has a token"), "{}", none.stderr());
    script.lock().unwrap().tokens = all;
    let list = run(&server, &["token", "list", "--all"]).await;
    assert!(list.stdout().contains(&id) && !list.stdout().contains("tdm_"), "{}", list.stdout());
    assert_eq!(run(&server, &["token", "revoke", &id]).await.code(), Some(0));
    let revoked = |token: &Token| token.id == id && token.state == "revoked";
    assert!(script.lock().unwrap().tokens.iter().any(revoked));
    assert_eq!(run(&server, &["token", "revoke", "short"]).await.code(), Some(2));
    // An id may begin as an option does.
    let unknown = run(&server, &["token", "revoke", "-UUIv-Hw"]).await;
    assert!(unknown.code() == Some(66) && unknown.stderr().contains("no token -UUIv-Hw"), "{}", unknown.stderr());
    assert_eq!(run(&server, &["token", "new", "x", "--join"]).await.code(), Some(2), "--join needs --out");
}

#[tokio::test]
async fn a_browser_is_logged_in_by_a_file_that_nobody_else_reads_and_that_is_gone_afterwards() {
    let (home, (server, script)) = (Home::new(), Coordinator::start(Script::default()).await);
    let folder = home.dir.path().join("runtime");
    fs::create_dir(&folder).unwrap();
    // What opens it keeps a copy, with its mode and its arguments.
    let opener = home.file(
        "bin-xdg-open",
        "#!/bin/sh\nstat -c '%a' \"$1\" > \"$KEEP/mode\"; cat \"$1\" > \"$KEEP/page\"; echo \"$@\" > \"$KEEP/arguments\"\n",
        0o700,
    );
    let bin = home.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::rename(opener, bin.join("xdg-open")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = home.command(&["--server", &server, "web"]);
    command.env("XDG_RUNTIME_DIR", &folder).env("DISPLAY", ":0").env("PATH", path).env("KEEP", home.dir.path());
    let done = command.output().await.unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("a browser is logged in at {server}")), "{said}");
    let kept = |name: &str| fs::read_to_string(home.dir.path().join(name)).unwrap();
    assert_eq!(kept("mode").trim(), "600");
    assert!(kept("page").contains(&format!("action=\"{server}/login\"")) && kept("page").contains("value=\"c0de\""));
    assert!(!kept("arguments").contains("c0de") && !said.contains("c0de"), "{said}");
    assert_eq!(fs::read_dir(folder.join("tandem")).unwrap().count(), 0, "the file is gone");
    assert_eq!(mode_of(&folder.join("tandem")), 0o700);
    assert_eq!(script.lock().unwrap().web_code_asked, 2);
}

#[tokio::test]
async fn a_command_that_is_told_to_end_leaves_no_file() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let (home, (server, _)) = (Home::new(), Coordinator::start(Script::default()).await);
        let folder = home.dir.path().join("for-a-minute");
        fs::create_dir(&folder).unwrap();
        let folder_text = folder.display().to_string();
        let mut command = home.command(&["--server", &server, "web", "--no-browser", "--dir", &folder_text]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        // It asks every half second whether the code was used.
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        while !said.next_line().await.unwrap().unwrap().contains("open in a browser") {}
        kill(Pid::from_raw(child.id().unwrap().cast_signed()), signal).unwrap();
        let ended = child.wait().await.unwrap();
        assert!(!ended.success(), "{signal}: {ended}");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{signal}: the file is gone");
    }
}

#[tokio::test]
async fn without_a_screen_the_file_is_named() {
    let (home, (server, _)) = (Home::new(), Coordinator::start(Script::default()).await);
    let dir = home.dir.path().display().to_string();
    let done = home.run(&["--server", &server, "web", "--dir", &dir, "--json"]).await;
    assert_eq!(done.code(), Some(0), "{}", done.stderr());
    assert!(
        done.stderr().contains("open in a browser on this machine: ") && done.stderr().contains("tandem-web-0f.html")
    );
    let told: serde_json::Value = serde_json::from_str(done.stdout()).unwrap();
    assert_eq!((&told["used"], told["address"].as_str()), (&serde_json::json!(true), Some(server.as_str())));
}

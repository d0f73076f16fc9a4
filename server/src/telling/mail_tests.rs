use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use super::*;

/// A server of mail that takes what it is sent, or refuses every recipient; returns its port and what it hears.
async fn sink(refuses: Option<&'static str>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            let mut in_data = false;
            writer.write_all(b"220 sink ESMTP\r\n").await.unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                hears.lock().unwrap().push(line.clone());
                let answer = match line.split(' ').next().unwrap_or_default() {
                    "." if in_data => {
                        in_data = false;
                        "250 taken\r\n".to_owned()
                    }
                    _ if in_data => continue,
                    "DATA" => {
                        in_data = true;
                        "354 go on\r\n".to_owned()
                    }
                    "RCPT" if refuses.is_some() => format!("{}\r\n", refuses.unwrap_or_default()),
                    "QUIT" => "221 bye\r\n".to_owned(),
                    _ => "250 well\r\n".to_owned(),
                };
                writer.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (port, heard)
}

fn message(text: &str) -> words::Message {
    words::Message {
        id: "ended/1/2".to_owned(),
        event: "failed".to_owned(),
        at: "2026-11-30T10:00:00Z".to_owned(),
        person: "ann".to_owned(),
        text: text.to_owned(),
        experiment: Some(words::Experiment { name: text.to_owned(), ..Default::default() }),
        job: None,
        worker: None,
    }
}

#[tokio::test]
async fn a_mail_arrives_and_nothing_in_it_is_a_header_of_others() {
    let (port, heard) = sink(None).await;
    let mailer = Mailer::new(&format!("smtp://127.0.0.1:{port}?tls=none"), "tandem@lab.example", None).unwrap();
    let hostile = "paper\r\nBcc: all@lab.example\r\n\r\n.\r\nMAIL FROM:<x@y>";
    assert_eq!(mailer.send("ann@lab.example", "id-1", &message(hostile)).await, Tried::Sent);
    let heard = heard.lock().unwrap().clone();
    let starts = |word: &str| heard.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!((starts("MAIL FROM"), starts("RCPT TO"), starts("Bcc"), starts("DATA")), (1, 1, 0, 1), "{heard:#?}");
    assert!(heard.contains(&"RCPT TO:<ann@lab.example>".to_owned()), "{heard:#?}");
    assert!(heard.iter().any(|line| line == "Message-ID: <id-1@lab.example>"), "{heard:#?}");
    assert!(heard.iter().any(|line| line.starts_with("Subject: ")), "{heard:#?}");
}

#[tokio::test]
async fn who_is_not_there_is_not_tried_again_and_who_is_busy_is() {
    let (port, _) = sink(Some("550 no such user")).await;
    let url = format!("smtp://127.0.0.1:{port}?tls=none");
    let mailer = Mailer::new(&url, "tandem@lab.example", None).unwrap();
    let refused = mailer.send("ann@lab.example", "id-1", &message("paper")).await;
    assert!(matches!(&refused, Tried::Refused(why) if why.contains("no such user")), "{refused:?}");
    let (port, _) = sink(Some("451 later")).await;
    let mailer = Mailer::new(&format!("smtp://127.0.0.1:{port}?tls=none"), "tandem@lab.example", None).unwrap();
    let later = mailer.send("ann@lab.example", "id-1", &message("paper")).await;
    assert!(matches!(&later, Tried::Failed(why) if why.contains("later")), "{later:?}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mailer = Mailer::new(&format!("smtp://127.0.0.1:{closed}?tls=none"), "tandem@lab.example", None).unwrap();
    assert!(matches!(mailer.send("ann@lab.example", "id-1", &message("paper")).await, Tried::Failed(_)));
}

#[tokio::test]
async fn sendmail_gets_it_on_its_standard_input() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (program, taken) = (folder.path().join("sendmail"), folder.path().join("taken"));
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" > {0}\ncat >> {0}\n", taken.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mailer = Mailer::new(&format!("sendmail:{}", program.display()), "tandem@lab.example", None).unwrap();
    assert_eq!(mailer.send("ann@lab.example", "id-1", &message("paper")).await, Tried::Sent);
    let taken = std::fs::read_to_string(&taken).unwrap();
    assert!(taken.contains("ann@lab.example") && taken.contains("Subject: [tandem] paper"), "{taken}");
}

#[test]
fn a_password_stands_in_no_option_and_goes_over_no_open_line() {
    let new = |url: &str, password: Option<&str>| {
        Mailer::new(url, "tandem@lab.example", password.map(str::to_owned)).map(drop)
    };
    let in_url = new("smtps://ann:hunter2@mail.lab", None).unwrap_err();
    assert!(in_url.contains("--mail-password-file") && !in_url.contains("hunter2"), "{in_url}");
    assert!(new("smtp://ann@mail.lab?tls=none", Some("hunter2")).unwrap_err().contains("reads the password"));
    assert!(new("smtps://mail.lab", Some("hunter2")).unwrap_err().contains("needs a user"));
    for right in ["smtp://mail.lab", "smtps://ann%40lab@mail.lab:465", "sendmail:", "smtp://[::1]:2525?tls=none"] {
        assert_eq!(new(right, None), Ok(()), "{right}");
    }
    for wrong in ["", "mail.lab", "http://mail.lab", "smtp://", "smtp://mail.lab?tls=maybe"] {
        assert!(new(wrong, None).unwrap_err().contains("--mail"), "{wrong}");
    }
    let from = Mailer::new("sendmail:", "x\r\nBcc: y@z", None).unwrap_err();
    assert!(from.contains("--mail-from") && !from.contains('\n'), "{from}");
}

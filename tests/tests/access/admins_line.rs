//! The first admin of a house where nobody has its socket.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tandem_harness::command;

use crate::{
    NOT_ALLOWED, assert_done, assert_refused,
    house::{House, text},
};

#[test]
fn an_admins_line_lets_one_in_where_there_is_no_socket() -> Result<()> {
    let house = House::open()?;
    let line = house.of_people("line.token");
    let up: Value = serde_json::from_slice(&fs::read(house.home().join("up.json"))?)?;
    let mut admin_line = command(&house.binaries.server);
    admin_line
        .env("DATABASE_URL", up["database_url"].as_str().context("no database_url")?)
        .arg("admin-line")
        .arg("--database-password-file")
        .arg(house.home().join("database-password"))
        .arg("--out")
        .arg(&line);
    let made = house.noted(&mut admin_line, "");
    assert_done(&made);
    let token = fs::read_to_string(&line)?;
    assert!(!house.said().contains(token.trim()), "{made:#?}");

    let (address, fingerprint) = (house.address()?, house.fingerprint()?);
    let join = ["join", &address, &fingerprint, "--token-file", text(&line)?];
    let list = ["--server", &address, "--token-file", text(&line)?, "list"];
    let joined = house.elsewhere("admin", &join, "");
    assert_done(&joined);
    let whoami = house.elsewhere("admin", &["--json", "whoami"], "");
    let who: Value = serde_json::from_str(&whoami.stdout).with_context(|| format!("{whoami:#?}"))?;
    assert_eq!((&who["name"], &who["role"]), (&"admin".into(), &"admin".into()), "{who:#}");
    assert_done(&house.elsewhere("admin", &["user", "add", "ann", "--role", "reader"], ""));

    // What is kept is another token: the line was good once.
    let kept = fs::read_to_string(house.of_people("admin/tandem/contexts/127.0.0.1.toml"))?;
    assert!(kept.contains("token = \"tdm_") && !kept.contains(token.trim()));
    assert_refused(&house.elsewhere("eve", &join, ""), NOT_ALLOWED, &["was revoked"]);
    assert_refused(&house.elsewhere("admin", &list, ""), NOT_ALLOWED, &["was revoked"]);

    let audit = house.elsewhere("admin", &["--json", "audit"], "");
    let audit: Value = serde_json::from_str(&audit.stdout).with_context(|| format!("{audit:#?}"))?;
    let entries = audit["entries"].as_array().context("no entries")?;
    for (who, what) in
        [("tandem-server admin-line", "admin-line"), ("admin", "People/NewToken"), ("admin", "People/SetPerson")]
    {
        let is_there = entries.iter().any(|entry| entry["who"] == who && entry["what"] == what);
        assert!(is_there, "{who} {what} is not in {audit:#}");
    }
    Ok(())
}

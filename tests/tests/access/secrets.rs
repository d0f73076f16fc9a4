//! No secret is where it need not be.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use tandem_harness::{command_line, small_experiment, until};

use crate::{
    MINUTE, NOT_ALLOWED, assert_done, assert_refused,
    house::{House, text},
    places::{self, Place},
};

const JOB: &str = "known-by-this-name";
/// Of a secret; nobody comes upon so many characters by chance.
const ENOUGH: usize = 20;

/// Enough of each secret to know it by, with what it is.
fn secrets(house: &House) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let everywhere = [places::files(house.home())?, places::files(&house.of_people(""))?].concat();
    for (file, content) in &everywhere {
        for token in content.split('"').map(str::trim).filter(|word| word.starts_with("tdm_")) {
            // Role and id are no secret.
            found.push((format!("the token of {file}"), token.get(14..).context("a token that is too short")?));
        }
        let is_key = content.contains("PRIVATE KEY");
        let lines = content.lines().filter(|line| is_key && line.len() >= ENOUGH && !line.starts_with("---"));
        found.extend(lines.map(|line| (format!("the key {file}"), line)));
        if file.ends_with("password") {
            found.push((format!("the password {file}"), content));
        }
    }
    let first = |secret: &str| secret.chars().take(ENOUGH).collect();
    Ok(found.into_iter().map(|(what, secret)| (what, first(secret))).collect())
}

/// The places where a text is, as such or as Postgres prints bytes.
fn places_of<'a>(places: &'a [Place], text: &str) -> Vec<&'a str> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let has = |content: &str| content.contains(text) || content.contains(&hex);
    places.iter().filter(|(_, content)| has(content)).map(|(place, _)| place.as_str()).collect()
}

/// People come in all ways, and tokens that are no good are tried.
fn use_tokens(house: &House) -> Result<()> {
    house.add_person("ann", "submitter")?;
    let (address, fingerprint) = (house.address()?, house.fingerprint()?);
    let worker = house.of_people("afar.join");
    assert_done(&house.admin(&["token", "new", "afar", "--role", "worker", "--join", "--out", text(&worker)?]));
    let scraper = house.new_token("scraper", &["--role", "scrape"])?;
    let list = |file: &Path| Ok::<_, anyhow::Error>(house.elsewhere("ann", &["--token-file", text(file)?, "list"], ""));
    assert_refused(&list(&scraper)?, NOT_ALLOWED, &["has the role scrape"]);

    let lost = house.new_token("lost", &["--user", "ann"])?;
    let token = fs::read_to_string(&lost)?;
    assert_done(&house.admin(&["token", "revoke", token.get(5..13).context("a token that is too short")?]));
    assert_refused(&list(&lost)?, NOT_ALLOWED, &["was revoked"]);
    let join = |token: &str| house.elsewhere("eve", &["join", &address, &fingerprint], token);
    assert_refused(&join(&token), NOT_ALLOWED, &["was revoked"]);
    let cut = token.get(..40).context("a token that is too short")?;
    assert!(join(cut).code != 0 && join(&token.replacen("_", "-", 1)).code != 0);
    Ok(())
}

#[test]
fn no_secret_is_anywhere() -> Result<()> {
    let house = House::open()?;
    use_tokens(&house)?;
    let experiment = house.of_people("experiment.toml");
    fs::write(&experiment, small_experiment(JOB, 1, 500))?;
    assert_done(&house.elsewhere("ann", &["submit", text(&experiment)?], ""));
    let rank = house.wait_rank(JOB);
    let processes = places::processes(&house);
    assert!(processes.iter().any(|(place, _)| *place == format!("arguments of {rank}")), "{}", command_line(rank));
    assert_done(&house.elsewhere("ann", &["cancel", JOB], ""));
    until("the rank has ended", MINUTE, || command_line(rank).is_empty().then_some(()));
    for shown in
        [&["show", JOB][..], &["list"], &["audit"], &["token", "list", "--all"], &["user", "list"], &["status"]]
    {
        assert_done(&house.admin(&[&["--json"], shown].concat()));
    }
    assert_done(&house.admin(&["logs", JOB]));

    let (keepers, files): (Vec<Place>, Vec<Place>) =
        places::files(house.home())?.into_iter().partition(|(file, _)| places::is_keeper(house.home(), file));
    let said = vec![("what commands printed".to_owned(), house.said())];
    let tables = places::tables(&house)?;
    // The search finds what is there.
    for (place, text, found) in [
        ("tables", JOB, &tables),
        ("commands", JOB, &said),
        ("processes", "--database-password-file", &processes),
        ("environments", "PATH=", &processes),
        ("logs", &house.fingerprint()?, &files),
    ] {
        assert!(!places_of(found, text).is_empty(), "`{text}` is not found in {place}");
    }
    let places = [files, said, tables, processes].concat();
    let secrets = secrets(&house)?;
    for kind in ["token of", "key", "password"] {
        assert!(
            secrets.iter().filter(|(what, _)| what.starts_with(&format!("the {kind}"))).count() > 1,
            "{secrets:#?}"
        );
    }
    assert!(!places_of(&keepers, &secrets[0].1).is_empty(), "{:?}", secrets[0].0);
    for (what, secret) in &secrets {
        let found = places_of(&places, secret);
        assert!(found.is_empty(), "{what} is found in {found:#?}");
    }
    Ok(())
}

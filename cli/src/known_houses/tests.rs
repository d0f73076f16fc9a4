use std::os::unix::fs::symlink;

use super::*;

const OWN: u32 = 1000;
const BOB: u32 = 4_000_001;
const EVE: u32 = 4_000_002;

/// A folder of settings, and one with a socket's place in it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.at("run")).unwrap();
        fs::write(place.at("run/t.sock"), "").unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn keeper(&self, carries_token: bool) -> Doorkeeper {
        Doorkeeper { file: Some(self.at(FILE)), own: OWN, carries_token, met: Mutex::new(None) }
    }

    /// A call without a token that is answered.
    fn call(&self, path: &str, uid: u32) -> Result<Option<String>, String> {
        let keeper = self.keeper(false);
        keeper.let_pass(&self.at(path), uid).map(|()| keeper.answered())
    }
}

#[test]
fn only_root_oneself_and_who_it_was_before_may_serve() {
    assert_eq!(standing(7, false, Some(7)), Standing::Known);
    assert_eq!(standing(7, false, None), Standing::New);
    assert_eq!(standing(0, true, Some(7)), Standing::Back { before: 7 });
    assert_eq!(standing(8, false, Some(0)), Standing::Changed { before: 0 });
}

#[test]
fn who_takes_the_place_of_root_or_oneself_does_not_pass_for_them() {
    for first in [0, OWN, BOB] {
        let place = Place::new();
        assert_eq!(place.call("run/t.sock", first).unwrap().is_some(), first == BOB);
        let refused = place.call("run/t.sock", EVE).unwrap_err();
        let before = account(first);
        for part in [before.as_str(), "uid 4000002", "nothing was sent", FILE, "--server"] {
            assert!(refused.contains(part), "{refused}");
        }
        // Back again: no refusal, and from then on remembered.
        let back = place.call("run/t.sock", 0).unwrap();
        assert_eq!(back.is_some_and(|said| said.contains("is now run by")), first != 0);
        assert!(place.call("run/t.sock", BOB).unwrap_err().contains("was run by root"));
    }
}

#[test]
fn nobody_is_remembered_who_has_not_answered() {
    let place = Place::new();
    let keeper = place.keeper(false);
    keeper.let_pass(&place.at("run/t.sock"), BOB).unwrap();
    assert!(keeper.let_pass(&place.at("run/t.sock"), EVE).is_err(), "within one command it stays the same");
    assert_eq!(read(&place.at(FILE)), Ok(Known::new()));
    assert!(keeper.answered().unwrap().contains("uid 4000001"));
    assert_eq!(keeper.answered(), None, "it is said once");
    let path = place.at("run/t.sock").display().to_string();
    assert_eq!(read(&place.at(FILE)), Ok(Known::from([(path, BOB)])));
}

#[test]
fn a_token_is_for_whom_one_has_met_before() {
    let place = Place::new();
    let path = place.at("run/t.sock");
    let keeper = place.keeper(true);
    for _ in 0..2 {
        let refused = keeper.let_pass(&path, BOB).unwrap_err();
        assert!(refused.contains("whom you have not met; your token was not sent"), "{refused}");
        assert_eq!(keeper.answered(), None);
    }
    place.call("run/t.sock", BOB).unwrap();
    keeper.let_pass(&path, BOB).unwrap();
}

#[test]
fn another_name_of_the_place_is_no_other_place() {
    let place = Place::new();
    place.call("run/t.sock", 0).unwrap();
    assert!(place.call("run/../run/t.sock", EVE).is_err());
    symlink(place.at("run/t.sock"), place.at("link")).unwrap();
    assert!(place.call("link", EVE).is_err());
    // Nor is one that a link leads away from.
    fs::write(place.at("evil"), "").unwrap();
    fs::remove_file(place.at("run/t.sock")).unwrap();
    symlink(place.at("evil"), place.at("run/t.sock")).unwrap();
    assert!(place.call("run/t.sock", EVE).is_err() && place.call("run/../run/t.sock", EVE).is_err());
}

#[test]
fn who_was_met_is_read_again() {
    let place = Place::new();
    let file = place.at("tandem").join(FILE);
    assert_eq!(read(&file), Ok(Known::new()));
    let known = Known::from([("/tmp/tandem.sock".to_owned(), 1001)]);
    keep(&file, &known).unwrap();
    assert_eq!(read(&file), Ok(known));
    fs::write(&file, "x").unwrap();
    assert!(read(&file).unwrap_err().contains("repair or remove it"));
}
